"""Which class scores the labels of each strategy. Its module is imported when a bundle needs it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import BundleError
from .head import Head, HeadArgs

if TYPE_CHECKING:
    from ..bundles.reading import Bundle

HEADS: Mapping[str, str] = {
    "trunkline-scores": "scores:ScoresHead",
    "trunkline-cluster": "cluster:ClusterHead",
    "llmrouter-knn": "knn:KnnHead",
    "llmrouter-knn-multiround": "knn:KnnHead",
    "llmrouter-svm": "svm:SvmHead",
    "llmrouter-mlp": "mlp:MlpHead",
    "llmrouter-mf": "linear:LinearHead",
    "llmrouter-graph": "linear:LinearHead",
    "llmrouter-elo": "constant:RatingsHead",
    "llmrouter-smallest": "constant:SmallestHead",
    "llmrouter-largest": "constant:LargestHead",
    "llmrouter-hybrid": "hybrid:HybridHead",
    "llmrouter-personalized": "personalized:PersonalizedHead",
    "llmrouter-gmt": "gmt:GmtHead",
    "llmrouter-ts": "ts:TsHead",
    "llmrouter-routerdc": "routerdc:RouterDCHead",
    "llmrouter-causallm": "causallm:CausalLMHead",
    "llmrouter-automix": "workflow:AutomixHead",
    "llmrouter-llm-multiround": "workflow:StrongestHead",
    "llmrouter-router-r1": "workflow:StrongestHead",
}
"""Module and class by strategy."""


def head(bundle: Bundle, args: HeadArgs) -> Head:
    """The head of a bundle's strategy. Raises BundleError."""
    strategy = bundle.manifest.strategy
    place = HEADS.get(strategy)
    if place is None:
        raise BundleError(
            f"the strategy {strategy!r} scores no labels; these do: {', '.join(HEADS)}"
        )
    module, _, name = place.partition(":")
    built: Head = getattr(import_module(f"{__package__}.{module}"), name)(bundle, args)
    return built
