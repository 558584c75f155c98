"""Virtual keys: made, changed, given anew, blocked and deleted, by whoever may."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sql
from sqlalchemy import insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ...errors import InvalidRequest
from ...store import tables
from .. import granting
from ..granting import Grantor
from ..identity import Principal
from ..periods import after
from ..registry import Registry
from ..scopes import Level
from ..secrets import new_key, shown
from .budgets import by_id, reset_of
from .grantors import by, grantor
from .records import (
    BUDGET,
    KEY,
    ORGANIZATION,
    TEAM,
    Row,
    Values,
    change,
    changing,
    find,
    found,
    make,
    missing,
    need,
    remove,
    with_metadata,
    with_reset,
)

MOST_AT_ONCE = 500
SHORTEST = 16
_MONEY = frozenset({"spend", "max_budget", "budget_id", "budget_duration", "model_max_budget"})


async def generate(
    registry: Registry, caller: Principal, asked: Values, path: str = "/key/generate"
) -> tuple[str, Row]:
    """A new key, and its row. Raises GatewayError.

    asked: the row's columns, and `key` and `duration`; what isn't there is as the caller's key.
    """
    key = own_key(asked.get("key"))
    async with changing(registry.database) as connection:
        who = await grantor(connection, caller)
        row = await insert_key(connection, registry, who, key, asked, by(caller), path)
    await registry.changed(Level.KEY, row["token"])
    return key, row


async def insert_key(
    connection: AsyncConnection,
    registry: Registry,
    who: Grantor,
    key: str,
    asked: Values,
    author: str,
    path: str,
) -> Row:
    """The same within a transaction."""
    customary, now = registry.customary, datetime.now(UTC)
    wanted = granting.inherited(who, with_metadata({}, with_expiry(asked)))
    wanted = customary.new_key(wanted, now)
    team_id = wanted.get("team_id")
    customary.check_maker(asked, who.role, who.teams.get(team_id or ""), team=bool(team_id))
    team = await _team(connection, wanted.get("team_id"))
    if not who.everything and "user_id" not in wanted:
        wanted["user_id"] = who.user_id
    if team is not None and not wanted.get("organization_id"):
        wanted["organization_id"] = team["organization_id"]
    granting.check_new_key(who, wanted, team, path)
    await _check_named(connection, wanted)
    named = {"token": registry.secrets.hashed(key), "key_name": shown(key)}
    if wanted.get("blocked"):
        named["blocked_by"] = who.user_id
    return await make(connection, KEY, {**await _reset(connection, wanted), **named}, author)


def own_key(asked: str | None) -> str:
    """The key that a caller wants, or a new one. Raises InvalidRequest for one that is no key."""
    if asked is None:
        return new_key()
    if not asked.startswith("sk-") or len(asked) < SHORTEST or not asked.isascii():
        raise InvalidRequest(
            f"A key begins with 'sk-' and has at least {SHORTEST} characters.", param="key"
        )
    return asked


async def update(
    registry: Registry, caller: Principal, named: str, asked: Values, path: str = "/key/update"
) -> Row:
    """named: the key, its hash, or its alias. Raises GatewayError."""
    async with changing(registry.database) as connection:
        who = await grantor(connection, caller)
        old = await _mine(connection, registry, who, named, path)
        row = await _update(connection, registry, who, old, asked, by(caller), path)
    await _told(registry, asked, row["token"])
    return row


async def _update(
    connection: AsyncConnection,
    registry: Registry,
    who: Grantor,
    old: Row,
    asked: Values,
    author: str,
    path: str,
) -> Row:
    wanted = with_metadata(old["metadata"], with_expiry(asked))
    wanted = registry.customary.bounded(wanted, datetime.now(UTC))
    if "metadata" in wanted:
        wanted["metadata"] = granting.kept_metadata(who, old["metadata"], wanted["metadata"])
    moved = "team_id" in wanted and wanted["team_id"] != old["team_id"]
    team = await _team(connection, wanted["team_id"] if moved else old["team_id"])
    granting.check_key_change(who, wanted, old, team, path)
    await _check_named(connection, wanted)
    if moved and "organization_id" not in wanted:
        wanted["organization_id"] = team["organization_id"] if team is not None else None
    if wanted.get("blocked") is not None:
        wanted["blocked_by"] = who.user_id if wanted["blocked"] else ""
    return await change(connection, KEY, old["token"], await _reset(connection, wanted), author)


async def regenerate(
    registry: Registry, caller: Principal, named: str, asked: Values
) -> tuple[str, Row]:
    """A new key in place of an old one; all else stays. Raises.

    asked: what is to change with it, the key that is wanted as `new_key`, and as `grace_period` for
        how long the old one is still good. Without, it ends, with all that it replaced.
    """
    path = "/key/regenerate"
    key = own_key(asked.get("new_key"))
    async with changing(registry.database) as connection:
        who = await grantor(connection, caller)
        old = await _mine(connection, registry, who, named, path)
        await _update(connection, registry, who, old, asked, by(caller), path)
        grace = asked.get("grace_period")
        await _replace(connection, old["token"], registry.secrets.hashed(key), grace)
        named_anew = {"token": registry.secrets.hashed(key), "key_name": shown(key)}
        row = await change(connection, KEY, old["token"], named_anew, by(caller))
    await registry.changed(Level.KEY, old["token"], row["token"])
    return key, row


async def _replace(connection: AsyncConnection, old: str, new: str, grace: str | None) -> None:
    """Keeps the old key good for its grace, and those that it replaced for theirs."""
    table, now = tables.replaced_keys, datetime.now(UTC)
    same = table.c.active_token == old
    await connection.execute(
        sql.delete(table).where(or_(table.c.ends_at <= now, table.c.token == new))
    )
    if not grace:
        await connection.execute(sql.delete(table).where(same))
        return
    await connection.execute(sql.update(table).where(same).values(active_token=new))
    ends = after(grace, now, "grace_period")
    values = {"token": old, "active_token": new, "ends_at": ends}
    await connection.execute(insert(table).values(values))


async def block(registry: Registry, caller: Principal, named: str, *, blocked: bool) -> Row:
    path = "/key/block" if blocked else "/key/unblock"
    async with changing(registry.database) as connection:
        who = await grantor(connection, caller)
        old = await _mine(connection, registry, who, named, path)
        if not blocked:
            granting.check_unblock(who, old)
        keeps = blocked and old["blocked"]  # whoever blocked it first is to unblock it
        blocker = old["blocked_by"] if keeps else who.user_id if blocked else ""
        values = {"blocked": blocked, "blocked_by": blocker}
        row = await change(connection, KEY, old["token"], values, by(caller))
    await registry.changed(Level.KEY, row["token"])
    return row


async def delete(
    registry: Registry, caller: Principal, names: Sequence[str], *, aliases: bool
) -> None:
    """All of them, or none. names: keys or their hashes, or their aliases. Raises GatewayError."""
    async with changing(registry.database) as connection:
        who = await grantor(connection, caller)
        if aliases:
            rows = await _by_alias(connection, names)
        else:
            tokens = [registry.secrets.token(name) for name in names]
            rows = await found(connection, KEY, tokens, param="keys")
        for row in rows:
            team = await find(connection, TEAM, row["team_id"])
            granting.check_key_use(who, row, team, "/key/delete")
        tokens = [row["token"] for row in rows]
        await remove(connection, KEY, tokens)
    await registry.changed(Level.KEY, *tokens)


async def info(registry: Registry, caller: Principal, named: str) -> tuple[Row, Row | None]:
    """A key's row, and that of its budget. Raises NotFound, PermissionDenied."""
    token = registry.secrets.token(named)
    async with registry.database.reading() as connection:
        row = await need(connection, KEY, token)
        budgets = await by_id(connection, [row["budget_id"]])
        if caller.key != token and not caller.role.sees_all:
            who = await grantor(connection, caller)
            team = await find(connection, TEAM, row["team_id"])
            granting.check_key_sight(who, row, team)
    return row, budgets.get(row["budget_id"])


async def _mine(
    connection: AsyncConnection, registry: Registry, who: Grantor, named: str, path: str
) -> Row:
    """A key that the caller may use an endpoint for, locked."""
    row = await find(connection, KEY, registry.secrets.token(named), lock=True)
    if row is None:
        raise missing(KEY)
    granting.check_key_use(who, row, await find(connection, TEAM, row["team_id"]), path)
    return row


async def token_of_alias(registry: Registry, alias: str) -> str:
    """The hash of the key that is called so. Raises NotFound."""
    async with registry.database.reading() as connection:
        return str((await _by_alias(connection, [alias], param="key_alias"))[0]["token"])


async def _by_alias(
    connection: AsyncConnection, aliases: Sequence[str], *, param: str = "key_aliases"
) -> list[Row]:
    query = select(KEY.table).where(KEY.table.c.key_alias.in_(aliases))
    rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    if {row["key_alias"] for row in rows} != set(aliases):
        raise missing(KEY, param)
    return rows


async def _team(connection: AsyncConnection, team_id: str | None) -> Row | None:
    return await need(connection, TEAM, team_id) if team_id else None


async def _check_named(connection: AsyncConnection, asked: Values) -> None:
    """Whether what a key is to share is there. Raises NotFound."""
    for kind in (ORGANIZATION, BUDGET):
        if asked.get(kind.param):
            await need(connection, kind, asked[kind.param])


def with_expiry(asked: Values) -> Row:
    """The same with the moment at which a key expires, where its duration is given.

    LiteLLM's "-1" is for ever.
    """
    values = dict(asked)
    if "duration" in values:
        duration = values.pop("duration")
        never = duration in (None, "", "-1")
        values["expires"] = None if never else after(duration, datetime.now(UTC))
    return values


async def _reset(connection: AsyncConnection, values: Values) -> Row:
    """The same with the moment of the next reset: of its own period, or of its budget's."""
    own = with_reset(values)
    if values.get("budget_id") and not values.get("budget_duration"):
        own["budget_reset_at"] = await reset_of(connection, values["budget_id"])
    return own


async def _told(registry: Registry, asked: Values, token: str) -> None:
    if _MONEY & asked.keys():
        await registry.budgets_changed(Level.KEY, [token])
    else:
        await registry.changed(Level.KEY, token)
