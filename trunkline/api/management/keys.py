"""/key/…: virtual keys."""

from __future__ import annotations

import math
from typing import Any

from ...access.management import key_lists, keys
from ...access.roles import Role
from ...errors import GatewayError, InvalidRequest, PermissionDenied
from . import views
from .bodies import (
    DeleteKeys,
    GenerateKey,
    KeyAliases,
    ListKeys,
    MaybeKey,
    OneKey,
    RegenerateKey,
    ServiceAccountKey,
    UpdateKey,
    UpdateKeys,
)
from .endpoints import Call, Endpoint, Nothing

_SERVICE_ACCOUNT = "/key/service-account/generate"


async def generate_key(call: Call[GenerateKey]) -> Any:
    secret, row = await keys.generate(call.registry, call.caller, call.body.asked())
    return views.made_key(secret, row)


async def generate_service_account_key(call: Call[ServiceAccountKey]) -> Any:
    """A key of a team that belongs to no user."""
    asked = {**call.body.asked(), "user_id": None}
    secret, row = await keys.generate(call.registry, call.caller, asked, _SERVICE_ACCOUNT)
    return views.made_key(secret, row)


async def update_key(call: Call[UpdateKey]) -> Any:
    named = call.body.key
    row = await _updated(call, call.body)
    return {**views.key(row), "key": named or row["token"]}


async def _updated(call: Call[Any], body: UpdateKey, path: str = "/key/update") -> Any:
    asked = body.asked()
    named = asked.pop("key", None)
    if not named:
        named = await keys.token_of_alias(call.registry, asked.pop("key_alias"))
    return await keys.update(call.registry, call.caller, named, asked, path)


async def update_keys(call: Call[UpdateKeys]) -> Any:
    """Several at once, each by itself: one that fails keeps none of the others."""
    if call.caller.role is not Role.ADMIN:
        raise PermissionDenied("Only proxy admins may update several keys at once.")
    done, failed = [], []
    for body in call.body.keys:
        try:
            row = await _updated(call, body)
        except GatewayError as error:
            if error.status >= 500:
                raise
            named = body.key or body.key_alias
            failed.append({"key": named, "key_info": None, "failed_reason": error.message})
        else:
            info = views.key(row)
            info.pop("token")
            done.append({"key": body.key or row["token"], "key_info": info})
    return {
        "total_requested": len(call.body.keys),
        "successful_updates": done,
        "failed_updates": failed,
    }


async def delete_keys(call: Call[DeleteKeys]) -> Any:
    body = call.body
    aliases = not body.keys
    names = body.key_aliases if aliases else body.keys
    assert names is not None
    await keys.delete(call.registry, call.caller, names, aliases=aliases)
    return {"deleted_keys": names}


async def key_info(call: Call[MaybeKey]) -> Any:
    """Of a key by itself or its hash; of the one that asks where none is named."""
    named = call.body.key or call.caller.key
    if not named:
        raise InvalidRequest("'key' must be given: the master key is no virtual key.", param="key")
    row, budget = await keys.info(call.registry, call.caller, named)
    info = views.key(row, budget)
    info.pop("token")
    return {"key": named, "info": {**info, "status": views.key_status(row)}}


async def list_keys(call: Call[ListKeys]) -> Any:
    body = call.body
    if body.sort_by and body.sort_by not in key_lists.SORTED_BY:
        raise InvalidRequest("Keys can't be sorted by that.", param="sort_by")
    given = {
        "user_id": body.user_id,
        "team_id": body.team_id,
        "organization_id": body.organization_id,
        "key_alias": body.key_alias,
        "token": call.registry.secrets.token(body.key_hash) if body.key_hash else None,
    }
    asked = key_lists.Asked(
        {name: value for name, value in given.items() if value},
        body.page,
        body.size,
        team_keys=body.include_team_keys,
        sort_by=body.sort_by or "",
        ascending=bool(body.sort_by) and body.sort_order == "asc",
        status=body.status or "",
    )
    page = await key_lists.page(call.registry, call.caller, asked)
    whole = [views.key(row, page.budgets.get(row["budget_id"] or "")) for row in page.rows]
    return {
        "keys": whole if body.return_full_object else [row["token"] for row in page.rows],
        "total_count": page.total,
        "current_page": body.page,
        "total_pages": math.ceil(page.total / body.size),
    }


async def key_aliases(call: Call[KeyAliases]) -> Any:
    body = call.body
    aliases, total = await key_lists.aliases(
        call.registry, call.caller, body.search or "", body.team_id or "", body.page, body.size
    )
    return {
        "aliases": aliases,
        "total_count": total,
        "current_page": body.page,
        "total_pages": math.ceil(total / body.size),
        "size": body.size,
    }


async def regenerate_key(call: Call[RegenerateKey]) -> Any:
    asked = call.body.asked()
    named = asked.pop("key", None) or call.path.get("key")
    if not named:
        raise InvalidRequest("'key' must be given.", param="key")
    secret, row = await keys.regenerate(call.registry, call.caller, named, asked)
    return views.made_key(secret, row)


async def block_key(call: Call[OneKey]) -> Any:
    row = await keys.block(call.registry, call.caller, call.body.key, blocked=True)
    return views.key(row)


async def unblock_key(call: Call[OneKey]) -> Any:
    row = await keys.block(call.registry, call.caller, call.body.key, blocked=False)
    return views.key(row)


async def key_health(call: Call[Nothing]) -> Any:
    """That a key is good, which it is where this is answered."""
    return {"key": "healthy", "logging_callbacks": None}


_REGENERATE = ("/key/regenerate", "/key/{key:path}/regenerate")

ENDPOINTS = (
    Endpoint("POST", ("/key/generate",), GenerateKey, generate_key, "Make a key"),
    Endpoint(
        "POST",
        (_SERVICE_ACCOUNT,),
        ServiceAccountKey,
        generate_service_account_key,
        "Make a key of a team that belongs to no user",
    ),
    Endpoint("POST", ("/key/update",), UpdateKey, update_key, "Change a key"),
    Endpoint("POST", ("/key/bulk_update",), UpdateKeys, update_keys, "Change several keys"),
    Endpoint("POST", ("/key/delete",), DeleteKeys, delete_keys, "Delete keys"),
    Endpoint("GET", ("/key/info",), MaybeKey, key_info, "About a key"),
    Endpoint("GET", ("/key/list",), ListKeys, list_keys, "List keys"),
    Endpoint("GET", ("/key/aliases",), KeyAliases, key_aliases, "List the aliases of keys"),
    Endpoint("POST", _REGENERATE, RegenerateKey, regenerate_key, "Replace a key by a new one"),
    Endpoint("POST", ("/key/block",), OneKey, block_key, "Block a key"),
    Endpoint("POST", ("/key/unblock",), OneKey, unblock_key, "Let a key call again"),
    Endpoint("POST", ("/key/health",), Nothing, key_health, "Whether a key is good"),
)
