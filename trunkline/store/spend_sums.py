"""What new rows of the ledger add to the spend of keys, users, teams …, and to the sums of a day.

The rows stand in `trunkline_incoming`. A row counts for a budget only if its call started in the
running period.
"""

# ruff: noqa: S608 - what is put into statements are names of our own

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from ..dataclass import dataclass
from .tables import daily_spend, daily_tag_spend


async def add(
    connection: AsyncConnection,
    tags: Sequence[object],
    shared: Sequence[object],
) -> None:
    """Adds the rows of `trunkline_incoming` to every sum.

    tags, shared: what stands in the tables beside it; nothing is done about what is empty.
    """
    statements = [*_OF_EVERY_BATCH]
    if tags:
        statements += [_TAGS, _DAILY_TAGS]
    if shared:
        statements.append(_SHARED)
    for statement in statements:
        await connection.exec_driver_sql(statement)


@dataclass(frozen=True, slots=True)
class _Charged:
    """A table with spend, and the columns of rows that name one of its rows."""

    table: str
    by: tuple[tuple[str, str], ...]

    def update(self, more: str = "") -> str:
        """Adds rows to `spend`. more: further columns to set."""
        own = [column for column, _ in self.by]
        theirs = ", ".join(f"i.{column}" for _, column in self.by)
        match = " AND ".join(f"c.{column} = i.{name}" for column, name in self.by)
        picked = ", ".join(f"i.{name} AS {column}" for column, name in self.by)
        where = " AND ".join(f"{self.table}.{column} = added.{column}" for column in own)
        return f"""
            UPDATE {self.table} SET spend = {self.table}.spend + added.spend{more}
            FROM (
                SELECT {picked}, sum({_IN_PERIOD}) AS spend, max(i.ended_at) AS latest
                FROM trunkline_incoming AS i JOIN {self.table} AS c ON {match}
                GROUP BY {theirs}
            ) AS added
            WHERE {where}
        """


_IN_PERIOD = """
    CASE WHEN c.budget_started_at IS NULL OR i.started_at >= c.budget_started_at
    THEN coalesce(i.spend, 0) ELSE 0 END
"""

_KEYS = _Charged("trunkline_keys", (("token", "api_key"),)).update(", last_active = added.latest")
_USERS = _Charged("trunkline_users", (("user_id", "user_id"),)).update()
_TEAMS = _Charged("trunkline_teams", (("team_id", "team_id"),)).update()
_MEMBERS = _Charged(
    "trunkline_team_members", (("team_id", "team_id"), ("user_id", "user_id"))
).update()
_ORGANIZATIONS = _Charged(
    "trunkline_organizations", (("organization_id", "organization_id"),)
).update()

# Customers come into being with their first call, as in LiteLLM.
_CUSTOMERS = f"""
    INSERT INTO trunkline_customers (user_id, spend, created_at, updated_at)
    SELECT i.end_user, sum({_IN_PERIOD}), max(i.started_at), max(i.started_at)
    FROM trunkline_incoming AS i LEFT JOIN trunkline_customers AS c ON c.user_id = i.end_user
    WHERE i.end_user <> '' GROUP BY i.end_user
    ON CONFLICT (user_id) DO UPDATE SET spend = trunkline_customers.spend + excluded.spend
"""

_TAGS = f"""
    UPDATE trunkline_tags SET spend = trunkline_tags.spend + added.spend
    FROM (
        SELECT t.tag AS name, sum({_IN_PERIOD}) AS spend
        FROM trunkline_incoming AS i
        JOIN trunkline_incoming_tags AS t ON t.request_id = i.request_id
        JOIN trunkline_tags AS c ON c.name = t.tag
        GROUP BY t.tag
    ) AS added
    WHERE trunkline_tags.name = added.name
"""

_SHARED = """
    INSERT INTO trunkline_shared_spend (counter, period, spend)
    SELECT s.counter, s.period, sum(coalesce(i.spend, 0))
    FROM trunkline_incoming AS i
    JOIN trunkline_incoming_shared AS s ON s.request_id = i.request_id
    WHERE true GROUP BY s.counter, s.period
    ON CONFLICT (counter, period) DO UPDATE
    SET spend = trunkline_shared_spend.spend + excluded.spend
"""

_SUMS = {
    "prompt_tokens": "coalesce(i.prompt_tokens, 0)",
    "completion_tokens": "coalesce(i.completion_tokens, 0)",
    "cached_tokens": "coalesce(i.cached_tokens, 0)",
    "cache_creation_tokens": "coalesce(i.cache_creation_tokens, 0)",
    "spend": "coalesce(i.spend, 0)",
    "api_requests": "1",
    "successful_requests": "CASE WHEN i.status = 'success' THEN 1 ELSE 0 END",
    "failed_requests": "CASE WHEN i.status = 'failure' THEN 1 ELSE 0 END",
}


def _daily(table: str, key: Sequence[str], picked: dict[str, str], join: str) -> str:
    chosen = ", ".join(picked.get(column, f"i.{column}") for column in key)
    sums = ", ".join(f"sum({expression})" for expression in _SUMS.values())
    more = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in _SUMS)
    return f"""
        INSERT INTO {table} ({", ".join(key)}, {", ".join(_SUMS)})
        SELECT {chosen}, {sums} FROM trunkline_incoming AS i {join}
        WHERE true GROUP BY {chosen}
        ON CONFLICT ({", ".join(key)}) DO UPDATE SET {more}
    """


_DAILY = _daily(
    daily_spend.name,
    [column.name for column in daily_spend.primary_key],
    {"date": "i.day"},
    "",
)
_DAILY_TAGS = _daily(
    daily_tag_spend.name,
    [column.name for column in daily_tag_spend.primary_key],
    {"date": "i.day", "tag": "t.tag"},
    "JOIN trunkline_incoming_tags AS t ON t.request_id = i.request_id",
)

_OF_EVERY_BATCH = (_KEYS, _USERS, _TEAMS, _MEMBERS, _ORGANIZATIONS, _CUSTOMERS, _DAILY)
