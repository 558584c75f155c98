"""Reads from the database what a caller has, for `access/granting.py` to judge by."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ...store import tables
from ..granting import Ceiling, Grantor
from ..identity import Principal
from ..roles import Role
from .records import KEY, USER, find


def by(caller: Principal) -> str:
    """How rows name who made or changed them."""
    return caller.user_id or caller.name


async def grantor(connection: AsyncConnection, caller: Principal) -> Grantor:
    """What the caller has now: not what was remembered of it."""
    if caller.role is Role.ADMIN:
        return Grantor(caller.role, caller.user_id, routes=caller.routes)
    key = await find(connection, KEY, caller.key or None)
    user = await find(connection, USER, caller.user_id or None)
    return Grantor(
        role=caller.role,
        user_id=caller.user_id,
        key_team=caller.team_id,
        organization_id=caller.organization_id,
        teams=await teams_of(connection, caller.user_id) if caller.user_id else {},
        routes=caller.routes,
        key=Ceiling.of("your key", key) if key is not None else None,
        user=Ceiling.of("your user", user) if user is not None else None,
    )


async def teams_of(connection: AsyncConnection, user_id: str) -> dict[str, str]:
    """A user's role in each of their teams."""
    members = tables.team_members.c
    rows = await connection.execute(
        select(members.team_id, members.role).where(members.user_id == user_id)
    )
    return {row.team_id: row.role for row in rows}
