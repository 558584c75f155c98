"""What is reloaded without a restart: how it stands, a check now, and a step back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Response

from ..errors import BundleError, GatewayError, NotFound
from ..gateway import Gateway
from ..live.status import NoPrevious, Outcome, Result, Status
from .access import required

if TYPE_CHECKING:
    from ..live.watch import Watch

    Watches = Callable[[], Sequence[Watch[Any]]]

_STATUS = {Result.REFUSED: 422, Result.UNREACHABLE: 503}
"""What a check is answered with that didn't end well; of several the first of these."""
_NOTHING: dict[int | str, dict[str, Any]] = {404: {"description": "Nothing like that is watched"}}
_CHECKED: dict[int | str, dict[str, Any]] = {
    **_NOTHING,
    422: {"description": "What the source holds is refused; the version in use stays so"},
    503: {"description": "The source can't be reached; the version in use stays so"},
}
_GONE_BACK: dict[int | str, dict[str, Any]] = {
    **_NOTHING,
    409: {"description": "There is no version to go back to"},
}


class NothingBefore(GatewayError):
    status = 409
    type = "invalid_request_error"


def router(gateway: Gateway, watches: Watches) -> APIRouter:
    routes = APIRouter(
        prefix="/hot-reload", tags=["hot reload"], dependencies=[Depends(required(gateway))]
    )

    @routes.get("/status", summary="How everything that is watched stands")
    async def status() -> dict[str, Any]:
        return _report([watch.status() for watch in watches()])

    @routes.post("", summary="Check everything that is watched now", responses=_CHECKED)
    async def check(response: Response, name: str | None = None) -> dict[str, Any]:
        outcomes = []
        for asked in [watch.name for watch in _named(watches(), name)]:
            # Another configuration, which comes first, may bring another bundle, or none.
            outcomes += [await each.trigger() for each in watches() if each.name == asked]
        found = {outcome.result for outcome in outcomes}
        response.status_code = next((_STATUS[each] for each in _STATUS if each in found), 200)
        return _told(outcomes)

    @routes.post("/rollback", summary="Go back to the version before", responses=_GONE_BACK)
    async def rollback(name: str | None = None) -> dict[str, Any]:
        asked = _named(watches(), name)
        for watch in asked:
            if watch.status().previous_version is None:
                raise _nothing_before(f"{watch.name}: there is no version to go back to")
        try:
            return _told([await watch.rollback() for watch in asked])
        except (NoPrevious, BundleError) as error:
            raise _nothing_before(str(error)) from None

    return routes


def _named(watches: Sequence[Watch[Any]], name: str | None) -> Sequence[Watch[Any]]:
    found = [watch for watch in watches if name in {None, watch.name}]
    if not found:
        what = "Nothing is watched" if name is None else f"Nothing called {name!r} is watched"
        raise NotFound(f"{what}.", param="name" if name else None, code="not_watched")
    return found


def _nothing_before(message: str) -> NothingBefore:
    return NothingBefore(message, code="no_previous_version")


def _report(found: Sequence[Status]) -> dict[str, Any]:
    updates = [each.loaded_at for each in found if each.loaded_at is not None]
    return {
        "enabled": any(each.interval is not None for each in found),
        "last_updated": _time(max(updates, default=None)),
        "watched": [
            asdict(each)
            | {"loaded_at": _time(each.loaded_at), "last_check": _time(each.last_check)}
            for each in found
        ],
    }


def _told(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {"outcomes": [asdict(outcome) for outcome in outcomes]}


def _time(when: float | None) -> str | None:
    """ISO 8601, UTC."""
    if when is None:
        return None
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")
