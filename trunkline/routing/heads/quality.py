"""Ways to expect a quality from a query's features, as `trunkline-scores` blends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .network import product
from .parameters import whole

if TYPE_CHECKING:
    from ..bundles.reading import Bundle


class Ridge:
    """Linear in the features. Tensors: `ridge_weights` float[labels, features], `ridge_bias`."""

    def __init__(self, bundle: Bundle) -> None:
        self._weights = bundle.weights.take("ridge_weights", "F", "labels", "features")
        self._bias = bundle.weights.take("ridge_bias", "F", "labels")

    def __call__(self, features: np.ndarray) -> np.ndarray:
        quality: np.ndarray = product(self._weights, features) + self._bias
        return quality


class Neighbours:
    """The mean of the nearest training queries, by cosine in a space of fewer axes.

    Tensors: `near_centre` float[features]; `near_axes` float[axes, features]; `near_points`
    float[points, axes] of length 1; `near_quality` float[points, labels].
    Parameter: `neighbours`, how many count.
    """

    def __init__(self, bundle: Bundle) -> None:
        take = bundle.weights.take
        self._axes = take("near_axes", "F", "axes", "features")
        self._offset = product(self._axes, take("near_centre", "F", "features"))
        self._points = take("near_points", "F", "points", "axes")
        self._quality = take("near_quality", "F", "points", "labels")
        self._count = whole(bundle, "neighbours", 1, len(self._points))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        place = product(self._axes, features) - self._offset
        nearest = np.argpartition(product(self._points, -place), self._count - 1)[: self._count]
        quality: np.ndarray = self._quality[nearest].mean(axis=0)
        return quality


class TaskNetwork:
    """A network of one hidden layer that tells the task and the quality, trained on both at once.

    It has u units (ReLU), t tasks and these tensors: `net_hidden` float[u, features],
    `net_hidden_bias`; `net_tasks` float[t, u], `net_tasks_bias`; `net_labels` float[labels, u],
    `net_labels_bias`; `net_task_labels` float[labels, t], what being of a task adds to a label's
    logit. `task_quality` float[labels, t] is the labels' mean quality in each task. Called, it
    gives a weighted sum of the quality that the network expects and the tasks' mean quality.
    """

    def __init__(self, bundle: Bundle, network_share: float, tasks_share: float) -> None:
        take = bundle.weights.take
        tasks = take("net_tasks", "F", "tasks", "units")
        tasks_bias = take("net_tasks_bias", "F", "tasks")
        labels = take("net_labels", "F", "labels", "units")
        labels_bias = take("net_labels_bias", "F", "labels")
        task_labels = take("net_task_labels", "F", "labels", "tasks")
        hidden = take("net_hidden", "F", "units", "features")
        hidden_bias = take("net_hidden_bias", "F", "units")
        quality = take("task_quality", "F", "labels", "tasks")
        # A unit that is always 1 carries the biases of what comes after it.
        self._hidden = np.vstack((hidden, np.zeros_like(hidden[:1])))
        self._hidden_bias = np.append(hidden_bias, np.float32(1))
        # A logistic function is half a hyperbolic tangent of half its argument, and a half.
        half, whole = np.float32(0.5), np.ones((1, len(tasks)), np.float32)
        self._outputs = np.block(
            [[tasks, tasks_bias[:, None]], [half * labels, half * labels_bias[:, None]]]
        )
        self._of_tasks = np.vstack((half * task_labels, np.float32(tasks_share) * quality, whole))
        self._share = np.float32(network_share) * half
        self._tasks, self._labels = len(tasks), len(labels)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """float32[labels]."""
        hidden = product(self._hidden, features)
        hidden += self._hidden_bias
        np.maximum(hidden, 0, out=hidden)
        outputs = product(self._outputs, hidden)
        chances, logits = outputs[: self._tasks], outputs[self._tasks :]
        chances -= np.maximum.reduce(chances)
        np.exp(chances, out=chances)
        of_tasks = product(self._of_tasks, chances)
        of_tasks *= 1 / of_tasks[-1]
        logits += of_tasks[: self._labels]
        np.tanh(logits, out=logits)
        logits += 1
        logits *= self._share
        logits += of_tasks[self._labels : -1]
        return logits
