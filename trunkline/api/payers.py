"""Makes calls their callers', so that they are charged to them."""

from __future__ import annotations

from ..access.identity import Principal
from ..call import Call
from ..charging.payer import Payer
from .http import Scope


def charge_to(call: Call, caller: Principal, scope: Scope) -> None:
    """Makes the call the caller's. scope: of the request that it came by."""
    client = scope.get("client")
    call.payer = Payer(caller, address=client[0] if client else "")
    call.caller = caller.key or caller.name


def tenant(caller: Principal, scope: str) -> str:
    """With whom a caller shares answers. scope: `cache_params.scope`.

    Who has no user or no team shares with those of the same key alone.
    """
    if scope == "global":
        return ""
    shared = {"user": caller.user_id, "team": caller.team_id}.get(scope)
    return f"{scope}:{shared}" if shared else caller.key or caller.name
