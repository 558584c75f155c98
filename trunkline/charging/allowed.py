"""Which models a caller may call: those that its key, team and organization all allow; of a key of
no team, its user in the team's place.

What is allowed is written as LiteLLM writes it: names of models, names with wildcards
(`openai/*`), access groups (`model_info.access_groups`), and `all-proxy-models`; a name that no
model has, such as `no-default-models`, allows none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from ..access.identity import Principal
from ..call import Deployment
from ..errors import PermissionDenied

Resolve = Callable[[str], Sequence[Deployment]]

_ANY = frozenset({"*", "all-proxy-models"})


def check_models(caller: Principal, models: Iterable[str], resolve: Resolve) -> None:
    """Raises PermissionDenied for the first that the caller may not call.

    resolve: gives the deployments that a name stands for.
    """
    if not caller.models:
        return
    for model in models:
        if not is_allowed(caller, model, resolve(model)):
            raise PermissionDenied(
                f"The key may not call the model '{model}'.",
                param="model",
                code="key_model_access_denied",
            )


def is_allowed(caller: Principal, model: str, deployments: Sequence[Deployment]) -> bool:
    """Whether all that stand above a call allow a model, by its name or by what it stands for."""
    names = {model, *(each.group for each in deployments[:1])}
    groups = _access_groups(deployments)
    return all(_allows(allowed, names, groups) for allowed in caller.models)


def narrowed(
    caller: Principal, asked: str, candidates: tuple[Deployment, ...]
) -> tuple[Deployment, ...]:
    """Of the deployments of several models under one name, those that the caller may call.

    Whoever may call the name, but none of the models by theirs, may call them all by it.
    """
    if not caller.models or all(each.group == asked for each in candidates):
        return candidates
    allowed = tuple(each for each in candidates if is_allowed(caller, each.group, (each,)))
    return allowed or candidates


def _allows(allowed: Sequence[str], names: set[str], groups: frozenset[str]) -> bool:
    for entry in allowed:
        if entry in _ANY or entry in names or entry in groups:
            return True
        if "*" in entry and any(fnmatchcase(name, entry) for name in names):
            return True
    return not allowed


def _access_groups(deployments: Sequence[Deployment]) -> frozenset[str]:
    return frozenset(
        group for each in deployments for group in each.info.get("access_groups") or ()
    )
