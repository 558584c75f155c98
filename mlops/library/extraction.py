"""From what the library's trainers leave to a bundle's tensors and parameters.

Label maps come from the fitted models, and end in the order of the request's labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from llmrouter.utils import load_model
from sklearn.preprocessing import MinMaxScaler

from .files import key
from .routers import Built

Extracted = tuple[dict[str, np.ndarray], dict[str, Any]]
NEVER = -1e30
"""The score of labels that the fitted model doesn't know: finite, and below all others."""


def extract(built: Built) -> Extracted:
    """The tensors and the parameters. Raises ValueError."""
    tensors, parameters = EXTRACTORS[built.request.strategy](built)
    held = {
        name: np.ascontiguousarray(each, np.float32 if each.dtype.kind == "f" else np.int32)
        for name, each in tensors.items()
    }
    for name, each in held.items():
        if not np.isfinite(each).all():
            raise ValueError(f"training did not converge: {name} holds numbers that are not finite")
    return held, parameters


def _numbers(built: Built, names: Any) -> np.ndarray:
    """The places of models in the request's labels."""
    return np.array([built.request.labels.index(str(name)) for name in names])


def _knn(built: Built) -> Extracted:
    model = load_model(str(built.model))
    points, wanted = model._fit_X, model.n_neighbors
    if wanted > len(points):
        raise ValueError(f"n_neighbors: {wanted} are more than the {len(points)} queries")
    metric = "cosine" if model.metric == "cosine" else "euclidean"
    labels = _numbers(built, model.classes_)[model._y]
    parameters = {"n_neighbors": int(wanted), "weights": model.weights, "metric": metric}
    return {"points": points, "point_labels": labels}, parameters


def _svm(built: Built) -> Extracted:
    model = load_model(str(built.model))
    # The public attributes have their signs turned where there are two classes.
    tensors = {
        "classes": _numbers(built, model.classes_),
        "support_vectors": model.support_vectors_,
        "support_counts": model.n_support_,
        "dual_coefficients": model._dual_coef_,
        "intercepts": model._intercept_,
    }
    parameters = {
        "kernel": model.kernel,
        "gamma": float(model._gamma),
        "coef0": float(model.coef0),
        "degree": int(model.degree),
        "break_ties": bool(model.break_ties),
    }
    return tensors, parameters


def _network(layers: list[tuple[np.ndarray, np.ndarray]], activation: str) -> Extracted:
    tensors = {}
    for place, (weight, bias) in enumerate(layers):
        tensors[f"weight_{place}"], tensors[f"bias_{place}"] = weight, bias
    return tensors, {"layers": len(layers), "activation": activation}


def _mlp(built: Built) -> Extracted:
    state = load_model(str(built.model))
    count = len(state) // 2
    layers = [
        (state[f"layers.{n}.weight"].numpy(), state[f"layers.{n}.bias"].numpy())
        for n in range(count)
    ]
    names = [built.router.idx_to_model[n] for n in range(built.router.num_classes)]
    weight, bias = _spread(built, names, *layers[-1])
    return _network([*layers[:-1], (weight, bias)], built.request.hparam["activation"])


def _spread(built: Built, names: Any, weight: np.ndarray, bias: np.ndarray) -> Any:
    """A linear layer's outputs in the order of the labels, with those that it doesn't have."""
    places, count = _numbers(built, names), len(built.request.labels)
    weights, biases = np.zeros((count, weight.shape[1])), np.full(count, NEVER)
    weights[places], biases[places] = weight, bias
    return weights, biases


def _mf(built: Built) -> Extracted:
    state = {
        name: each.numpy().astype(float) for name, each in load_model(str(built.model)).items()
    }
    models = state["P.weight"]
    models /= np.maximum(np.linalg.norm(models, axis=1, keepdims=True), 1e-12)
    weight = (models * state["classifier.weight"]) @ state["text_proj.weight"]
    names = [built.router.idx_to_model[n] for n in range(len(models))]
    weights, bias = _spread(built, names, weight, np.zeros(len(models)))
    return {"weights": weights, "bias": bias}, {}


def _elo(built: Built) -> Extracted:
    found = load_model(str(built.model))
    ratings = np.full(len(built.request.labels), NEVER, np.float32)
    last = np.float32(np.inf)
    for name, rating in sorted(found.items(), key=lambda each: -each[1]):
        # Equal ratings are told apart, since among equals the head takes the first label.
        last = min(np.float32(rating), np.nextafter(last, np.float32(-np.inf)))
        ratings[built.request.labels.index(name)] = last
    return {"ratings": ratings}, {}


def _hybrid(built: Built) -> Extracted:
    model, router = load_model(str(built.model)), built.router
    layers = [(w.T, b) for w, b in zip(model.coefs_, model.intercepts_, strict=True)]
    tensors, parameters = _network(layers, model.activation)
    return tensors, parameters | {
        "small": router.small_model_name,
        "large": router.large_model_name,
        "threshold": router.router_threshold,
    }


def _graph(built: Built) -> Extracted:
    router = built.router
    nodes = _model_nodes(built, {"query": key(0)})
    transform = router.gnn_predictor.model.model_align.query_transform
    weight, bias = _double(transform.weight), _double(transform.bias)
    scaler = training_scaler(built)
    weight_scaled = nodes @ weight * scaler.scale_ / nodes.shape[1]
    bias = nodes @ (weight @ scaler.min_ + bias) / nodes.shape[1]
    weights, biases = _spread(built, router.model_names, weight_scaled, bias)
    return {"weights": weights, "bias": biases}, {}


def training_scaler(built: Built) -> MinMaxScaler:
    """What the graph router scaled its training queries with, and did not keep."""
    data = built.router.query_embedding_data
    return MinMaxScaler().fit(np.array([each.numpy() for each in data.values()]))


def _personalized(built: Built) -> Extracted:
    router, users = built.router, built.request.users
    align = None
    weights, biases = [], []
    features = [*np.eye(len(users), dtype=np.float32), np.full(len(users), 1 / len(users))]
    for feature in features:
        router._make_user_feature = lambda _, row=feature: row.reshape(1, -1).astype(np.float32)
        nodes = _model_nodes(built, {"query": key(0), "user_id": 0})
        align = router.gnn_predictor.model.model_align
        width = nodes.shape[1]
        task, query, user = np.split(nodes, 3, axis=1)
        # A query's task isn't known while serving, and so was nought in training, too.
        own = _double(align.user_transform.weight) @ feature + _double(align.user_transform.bias)
        weight = query @ _double(align.query_transform.weight) / width
        bias = query @ _double(align.query_transform.bias) + user @ own
        bias = (bias + task @ _double(align.task_transform.bias)) / width
        weight, bias = _spread(built, router.llm_names, weight, bias)
        weights.append(weight)
        biases.append(bias)
    del router._make_user_feature
    return {"weights": np.array(weights), "bias": np.array(biases)}, {"users": list(users)}


def _double(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().numpy().astype(float)


def _model_nodes(built: Built, query: dict[str, Any]) -> np.ndarray:
    """float64[models, hidden]: the model nodes, as the library computes them for a query."""
    held: list[torch.Tensor] = []
    predictor = built.router.gnn_predictor
    hook = predictor.model.bn2.register_forward_hook(lambda *call: held.append(call[-1]))
    built.router.route_single(query)
    hook.remove()
    return _double(held[0][-built.router.num_llms :])


def _nothing(built: Built) -> Extracted:
    return {}, {}


EXTRACTORS: Mapping[str, Callable[[Built], Extracted]] = {
    "llmrouter-knn": _knn,
    "llmrouter-knn-multiround": _knn,
    "llmrouter-svm": _svm,
    "llmrouter-mlp": _mlp,
    "llmrouter-mf": _mf,
    "llmrouter-elo": _elo,
    "llmrouter-hybrid": _hybrid,
    "llmrouter-graph": _graph,
    "llmrouter-personalized": _personalized,
    "llmrouter-smallest": _nothing,
    "llmrouter-largest": _nothing,
}
