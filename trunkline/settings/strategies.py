"""The names of routing strategies: LiteLLM's, LLMRouter's and ours, and what each needs.

A built-in strategy ranks the deployments of a model group; a learned one ranks models. LLMRouter's
own spellings ("knnrouter", "hybrid_llm") name the same strategies, with or without `llmrouter-`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..dataclass import dataclass

BUILT_IN = (
    "simple-shuffle",
    "least-busy",
    "latency-based-routing",
    "cost-based-routing",
    "usage-based-routing",
    "usage-based-routing-v2",
)

LIBRARY = "llmrouter-"


@dataclass(frozen=True, slots=True)
class Learned:
    """A learned strategy.

    about: how it decides, in one line.
    bundle: whether it needs `model_path` (or S3); "optional" where `llm_data_path` can do instead.
    embeds: whether its bundle names an embedder. onnx: whether it needs the extra `onnx`.
    workflow: whether it calls models to find or make the answer.
    roles: arguments that name the models which it calls, each with whether it must be there.
    """

    name: str
    about: str
    bundle: str = "required"
    embeds: bool = False
    onnx: bool = False
    workflow: bool = False
    roles: tuple[tuple[str, bool], ...] = ()


_ROUNDS = (("reasoning_model", False),)

LEARNED: Mapping[str, Learned] = {
    each.name: each
    for each in (
        Learned(
            "trunkline-scores",
            "expected quality of every model less cost_weight times its expected cost",
            embeds=True,
        ),
        Learned(
            "trunkline-cluster",
            "quality and cost of every model in the cluster of the query",
            embeds=True,
        ),
        Learned("llmrouter-knn", "the label that most of the k nearest queries have", embeds=True),
        Learned("llmrouter-svm", "a support vector classifier of the query", embeds=True),
        Learned("llmrouter-mlp", "a neural classifier of the query", embeds=True),
        Learned("llmrouter-mf", "a bilinear score of query and model", embeds=True),
        Learned("llmrouter-elo", "the models' Elo ratings, whatever the query"),
        Learned(
            "llmrouter-hybrid", "a small or a large model, by how hard the query is", embeds=True
        ),
        Learned("llmrouter-graph", "a graph network over queries and models", embeds=True),
        Learned(
            "llmrouter-automix",
            "a small model answers and checks itself; a larger one takes over where it is unsure",
            bundle="optional",
            workflow=True,
            roles=(("small_model", False), ("large_model", False), ("verifier_model", False)),
        ),
        Learned("llmrouter-causallm", "a fine-tuned language model names the model", onnx=True),
        Learned("llmrouter-routerdc", "the nearest model to the encoded query", onnx=True),
        Learned("llmrouter-smallest", "the smallest model by its declared size", bundle="optional"),
        Learned("llmrouter-largest", "the largest model by its declared size", bundle="optional"),
        Learned(
            "llmrouter-knn-multiround",
            "splits the query, routes each part by k nearest neighbours, joins the answers",
            embeds=True,
            workflow=True,
            roles=_ROUNDS,
        ),
        Learned(
            "llmrouter-llm-multiround",
            "splits the query, lets a model route each part, joins the answers",
            bundle="optional",
            workflow=True,
            roles=_ROUNDS,
        ),
        Learned(
            "llmrouter-router-r1",
            "a reasoning model asks other models in rounds until it knows the answer",
            bundle="optional",
            workflow=True,
            roles=(("reasoning_model", True),),
        ),
        Learned("llmrouter-gmt", "a graph over users, their histories and models", embeds=True),
        Learned("llmrouter-personalized", "a graph over users, queries and models", embeds=True),
        Learned("llmrouter-ts", "the query and what the user's earlier ones led to", embeds=True),
    )
}

_SPELLINGS: Mapping[str, str] = {
    "knn": "knnrouter",
    "svm": "svmrouter",
    "mlp": "mlprouter",
    "mf": "mfrouter",
    "elo": "elorouter",
    "hybrid": "hybrid_llm hybridllm hybridllmrouter",
    "graph": "graphrouter",
    "automix": "automixrouter",
    "causallm": "causallm_router causallmrouter",
    "routerdc": "dcrouter",
    "smallest": "smallest_llm smallestllm",
    "largest": "largest_llm largestllm",
    "knn-multiround": "knnmultiroundrouter knnmultiround",
    "llm-multiround": "llmmultiroundrouter llmmultiround",
    "router-r1": "router_r1 routerr1",
    "gmt": "gmtrouter gmt_router",
    "personalized": "personalizedrouter personalized_router",
    "ts": "tsrouter ts_router",
}
"""What the library calls its strategies in its command line, its modules and its classes."""

_NAMED: Mapping[str, str] = {
    **{name: name for name in (*BUILT_IN, *LEARNED)},
    **{
        prefix + spelling: LIBRARY + name
        for name, spellings in _SPELLINGS.items()
        for spelling in (name, *spellings.split())
        for prefix in ("", LIBRARY)
    },
}


def canonical(name: str) -> str | None:
    """The strategy's full name, for any of its spellings; None where there is no such strategy."""
    return _NAMED.get(name)


def aliases(name: str) -> tuple[str, ...]:
    """The other spellings of a strategy's full name."""
    return tuple(alias for alias, other in _NAMED.items() if other == name and alias != name)
