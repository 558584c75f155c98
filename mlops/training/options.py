"""The hyperparameters of LLMRouter's strategies: their names, defaults and kinds.

Defaults are those of the library's example configurations, and of its code for what these leave
out. The code alone has 3 epochs for mf, and for hybrid the deterministic mode and one hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KNN: Mapping[str, Any] = {
    "n_neighbors": 5,
    "weights": "uniform",
    "algorithm": "auto",
    "leaf_size": 30,
    "p": 2,
    "metric": "minkowski",
    "n_jobs": None,
}
SVM: Mapping[str, Any] = {
    "C": 1.0,
    "kernel": "rbf",
    "degree": 3,
    "gamma": "scale",
    "coef0": 0.0,
    "shrinking": True,
    "probability": True,
    "tol": 0.001,
    "cache_size": 200.0,
    "class_weight": None,
    "max_iter": -1,
    "decision_function_shape": "ovr",
    "break_ties": False,
}
MLP: Mapping[str, Any] = {
    "hidden_layer_sizes": [128, 64],
    "activation": "relu",
    "lr": 0.001,
    "epochs": 100,
    "batch_size": 32,
    "alpha": 0.0001,
}
MF: Mapping[str, Any] = {
    "latent_dim": 128,
    "text_dim": None,
    "lr": 0.001,
    "epochs": 5,
    "noise_alpha": 0.0,
    "batch_size": 64,
}
HYBRID: Mapping[str, Any] = {
    "hidden_layer_sizes": [128, 64],
    "activation": "relu",
    "solver": "adam",
    "alpha": 0.0001,
    "batch_size": "auto",
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "power_t": 0.5,
    "max_iter": 300,
    "shuffle": True,
    "random_state": None,
    "tol": 0.0001,
    "momentum": 0.9,
    "nesterovs_momentum": True,
    "early_stopping": False,
    "validation_fraction": 0.1,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "n_iter_no_change": 10,
    "max_fun": 15000,
}
GRAPH: Mapping[str, Any] = {
    "hidden_dim": 64,
    "learning_rate": 0.001,
    "weight_decay": 0.0001,
    "train_epoch": 100,
    "batch_size": 4,
    "train_mask_rate": 0.3,
    "val_split_ratio": 0.2,
}
PERSONALIZED: Mapping[str, Any] = {
    "embedding_dim": 64,
    "edge_dim": 1,
    "user_num": None,
    "num_task": 4,
    "split_ratio": [0.6, 0.2, 0.2],
    "llm_family": [],
    "random_state": None,
    "learning_rate": 0.001,
    "weight_decay": 0.0001,
    "train_epoch": 100,
    "batch_size": 4,
    "train_mask_rate": 0.3,
}

HYPERPARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "llmrouter-knn": KNN,
    "llmrouter-knn-multiround": KNN,
    "llmrouter-svm": SVM,
    "llmrouter-mlp": MLP,
    "llmrouter-mf": MF,
    "llmrouter-elo": {},
    "llmrouter-hybrid": HYBRID,
    "llmrouter-graph": GRAPH,
    "llmrouter-personalized": PERSONALIZED,
    "llmrouter-smallest": {},
    "llmrouter-largest": {},
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "llmrouter-hybrid": {
        "router_mode": "probabilistic",
        "router_tau": 0.1,
        "router_threshold": 0.5,
    }
}
"""What LLMRouter has beside its hyperparameters."""

_ALIASES: Mapping[str, Mapping[str, str]] = {
    "llmrouter-mlp": {"learning_rate_init": "lr", "max_iter": "epochs"}
}
_ACTIVATIONS = ("identity", "logistic", "relu", "tanh")
_KNN_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "metric": ("minkowski", "euclidean", "l2", "cosine"),
    "weights": ("uniform", "distance"),
    "p": (2,),
}
_CHOICES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "llmrouter-knn": _KNN_CHOICES,
    "llmrouter-knn-multiround": _KNN_CHOICES,
    "llmrouter-svm": {
        "kernel": ("linear", "poly", "rbf", "sigmoid"),
        "decision_function_shape": ("ovr", "ovo"),
    },
    "llmrouter-mlp": {"activation": _ACTIVATIONS},
    "llmrouter-hybrid": {
        "activation": _ACTIVATIONS,
        "router_mode": ("deterministic", "probabilistic", "transformed"),
    },
    "llmrouter-personalized": {"edge_dim": (1,)},
}
"""What a head can serve, and what the library takes without a word and then does otherwise."""

_SEVERAL_KINDS = frozenset({"gamma", "batch_size", "class_weight"})
"""The library checks these."""


def options(strategy: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Every hyperparameter and setting of a strategy, with what a job's config says.

    Raises ValueError that names what is unknown or wrong.
    """
    known = {**HYPERPARAMETERS[strategy], **SETTINGS.get(strategy, {})}
    aliases = _ALIASES.get(strategy, {})
    given = {aliases.get(name, name): value for name, value in config.items()}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(
            f"{strategy} has no hyperparameter {unknown[0]!r}; it has {', '.join(known) or 'none'}"
        )
    choices = _CHOICES.get(strategy, {})
    for name, value in given.items():
        if name in choices:
            if value not in choices[name]:
                shown = ", ".join(map(str, choices[name]))
                raise ValueError(f"{strategy}: {name} must be one of {shown}, not {value!r}")
        elif name not in _SEVERAL_KINDS and not _same_kind(value, known[name]):
            raise ValueError(f"{strategy}: {name} must be like {known[name]!r}, not {value!r}")
    return known | given


def _same_kind(value: Any, default: Any) -> bool:
    match default:
        case None:
            return value is None or (isinstance(value, int) and not isinstance(value, bool))
        case bool():
            return isinstance(value, bool)
        case int():
            return isinstance(value, int) and not isinstance(value, bool)
        case float():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return isinstance(value, type(default))
