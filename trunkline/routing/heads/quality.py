"""Four ways to expect a quality from a query's features, as `trunkline-scores` blends them."""

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
    """Networks of one hidden layer that tell the task and the quality, trained on both at once.

    Each of m members has u units (ReLU), t tasks and these tensors: `net_hidden` float[m * u,
    features], `net_hidden_bias`; `net_tasks` float[m, t, u], `net_tasks_bias`; `net_labels`
    float[m, labels, u], `net_labels_bias`; `net_task_labels` float[m, labels, t], what being of a
    task adds to a label's logit. `task_quality` float[labels, t] is the labels' mean quality in
    each task. Called, it gives the quality that the members expect, and the tasks' mean quality.
    """

    def __init__(self, bundle: Bundle) -> None:
        take = bundle.weights.take
        self._tasks = take("net_tasks", "F", "members", "tasks", "units")
        self._tasks_bias = take("net_tasks_bias", "F", "members", "tasks")
        self._labels = take("net_labels", "F", "members", "labels", "units")
        self._labels_bias = take("net_labels_bias", "F", "members", "labels")
        self._task_labels = take("net_task_labels", "F", "members", "labels", "tasks")
        members, _, units = self._tasks.shape
        self._hidden = take("net_hidden", "F", members * units, "features")
        self._hidden_bias = take("net_hidden_bias", "F", members * units)
        self._quality = take("task_quality", "F", "labels", "tasks")
        self._shape = members, 1, units

    def __call__(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float[labels] twice."""
        hidden = np.maximum(product(self._hidden, features) + self._hidden_bias, 0)
        hidden = hidden.reshape(self._shape)
        tasks = np.vecdot(self._tasks, hidden) + self._tasks_bias
        chances = np.exp(tasks - tasks.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        logits = np.vecdot(self._labels, hidden) + self._labels_bias
        logits += np.vecdot(self._task_labels, chances[:, None, :])
        expected = 0.5 * np.tanh(0.5 * logits.mean(axis=0)) + 0.5
        return expected, product(self._quality, chances.mean(axis=0))
