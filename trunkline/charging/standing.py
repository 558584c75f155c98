"""Limits that the configuration sets: of the whole gateway, of providers, of deployments.

litellm_settings.max_budget, budget_duration             of all calls together
general_settings.global_max_parallel_requests            the same
litellm_settings.max_end_user_budget                     of each customer without one of its own
router_settings.provider_budget_config                   of a provider
litellm_params.max_budget, budget_duration               of a deployment
"""

from __future__ import annotations

from functools import lru_cache

from ..access.money import nano
from ..access.scopes import Budget, Level, Scope
from ..call import Deployment
from ..settings import Settings

REMEMBERED = 4096


class Standing:
    """whole: of all calls together. customer: what a customer may spend who has no budget."""

    def __init__(self, settings: Settings) -> None:
        told, general = settings.litellm_settings, settings.general_settings
        budget = _budget(told.max_budget, told.budget_duration)
        parallel = general.global_max_parallel_requests
        limited = budget is not None or parallel is not None
        every = Scope(Level.PROXY, "all", parallel=parallel, budget=budget)
        self.whole: tuple[Scope, ...] = (every,) if limited else ()
        self.customer = _budget(told.max_end_user_budget, None)
        self._providers = {
            provider: Scope(Level.PROVIDER, provider, budget=_budget(each.limit, each.period))
            for provider, each in settings.router_settings.provider_budget_config.items()
        }
        self.scopes_of = lru_cache(maxsize=REMEMBERED)(self._scopes_of)

    def scopes_of_all(self, deployments: tuple[Deployment, ...]) -> tuple[Scope, ...]:
        """Of several deployments, each once."""
        scopes = (scope for each in deployments for scope in self.scopes_of(each))
        return tuple(dict.fromkeys(scopes))

    def _scopes_of(self, deployment: Deployment) -> tuple[Scope, ...]:
        """Of what answers a call: its provider, and the deployment itself."""
        provider = self._providers.get(deployment.provider)
        scopes = [provider] if provider is not None else []
        budget = _budget(
            deployment.params.get("max_budget"), deployment.params.get("budget_duration")
        )
        if budget is not None:
            scopes.append(Scope(Level.MODEL, deployment.id, budget=budget))
        return tuple(scopes)


def _budget(dollars: float | None, duration: str | None) -> Budget | None:
    return None if dollars is None else Budget(nano(dollars), duration=duration or "")
