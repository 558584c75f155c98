"""What takes candidates out before a strategy ranks the others."""

from __future__ import annotations

from ..dataclass import dataclass
from ..settings import Settings
from .configured import configured


@dataclass(frozen=True, slots=True)
class Filters:
    """Which filters the configuration turns on.

    tags_match_any: one tag in common is enough.
    tags_prefix: what marks tags that are meant for routing.
    limits: `rpm` and `tpm` are limits, not only weights.
    informed: also those in `model_info`, which are no weights.
    pre_call: requests that a model is known not to take don't go there.
    """

    tags: bool = False
    tags_match_any: bool = True
    tags_prefix: str = ""
    limits: bool = False
    informed: bool = False
    pre_call: bool = False

    @classmethod
    def from_settings(
        cls, settings: Settings, strategy_limits: bool, *, learned: bool = False
    ) -> Filters:
        """learned: for a learned strategy, which must never choose what would fail."""
        router = settings.router_settings
        pre_call = router.enable_pre_call_checks or learned
        optional = configured(settings, "optional_pre_call_checks", ())
        strict = strategy_limits or "enforce_model_rate_limits" in optional
        return cls(
            tags=router.enable_tag_filtering,
            tags_match_any=router.tag_filtering_match_any,
            tags_prefix=router.tag_routing_prefix,
            limits=strict or pre_call,
            informed=strict,
            pre_call=pre_call,
        )
