"""`python -m bench.scale`: a database as large companies have it, and how long its questions take.

    --keys 1000000 --rows 10000000    the size; questions are asked at a tenth of it, then at all

Keys and rows are generated in the database. Questions are asked as the gateway asks them, five
times each; the median is printed in milliseconds, with how PostgreSQL says it finds the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import select, text

from tests.support.ledger import ROW, database_at, ledger_of
from tests.support.postgres import postgres_server
from trunkline.access.identity import MASTER
from trunkline.access.management import key_lists
from trunkline.access.registry import Registry
from trunkline.access.secrets import Secrets
from trunkline.api.management.endpoints import Call, read
from trunkline.api.spend import activity, calls, report, totals
from trunkline.state.memory import MemoryBus, MemoryCounters
from trunkline.store import partitions, tables
from trunkline.store.database import Database

DAYS = 30
TRIES = 5

Question = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Size:
    keys: int
    rows: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--output", type=Path, help="a file for the figures, as JSON")
    options = parser.parse_args()
    whole = Size(options.keys, options.rows)
    found = measure([Size(max(1, whole.keys // 10), max(1, whole.rows // 10)), whole], print)
    if options.output is not None:
        options.output.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def measure(sizes: list[Size], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The times of each size, in milliseconds by question."""
    found = []
    for size in sizes:
        with postgres_server() as server, tempfile.TemporaryDirectory() as folder:
            say(f"{size.keys:,} keys, {size.rows:,} rows")
            began = time.perf_counter()
            times = asyncio.run(_ask(server.database(), Path(folder), size, say))
            found.append({"keys": size.keys, "rows": size.rows, "ms": times})
            say(f"  in all {time.perf_counter() - began:,.0f} s")
    for name, small in found[0]["ms"].items():
        large = found[-1]["ms"][name]
        say(f"{name:40} {small:10.2f} ms {large:10.2f} ms   {large / small:6.2f} : 1")
    return found


async def _ask(url: str, folder: Path, size: Size, say: Callable[[str], None]) -> dict[str, float]:
    async with database_at(url, folder, connections=4) as database:
        await _generate(database, size)
        registry = Registry(database, Secrets("salt"), MemoryCounters(), MemoryBus())
        for name, statement in _EXPLAINED.items():
            say(f"  {name}:")
            for line in await _plan(database, statement):
                say(f"    {line}")
        times = {}
        for name, question in _questions(database, registry, folder, size).items():
            times[name] = await _timed(question)
            say(f"  {name:40} {times[name]:10.2f} ms")
        return times


async def _timed(question: Question) -> float:
    await question()
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        await question()
        times.append(time.perf_counter() - began)
    return median(times) * 1e3


def _questions(
    database: Database, registry: Registry, folder: Path, size: Size
) -> dict[str, Question]:
    today = datetime.now(UTC).date()
    month = {"start_date": (today - timedelta(DAYS)).isoformat(), "end_date": today.isoformat()}

    def asked(answer: Any, body: Any, **fields: Any) -> Question:
        async def ask() -> Any:
            return await answer(Call(registry, MASTER, read(body, fields), {}))

        return ask

    async def look_up() -> Any:
        async with database.reading() as connection:
            query = select(tables.keys).where(tables.keys.c.token == _token(size.keys // 2))
            return (await connection.execute(query)).one()

    async def page() -> Any:
        return await key_lists.page(registry, MASTER, key_lists.Asked({}, 1, 50))

    async def far_page() -> Any:
        return await key_lists.page(registry, MASTER, key_lists.Asked({}, 100, 50))

    async def users_page() -> Any:
        return await key_lists.page(registry, MASTER, key_lists.Asked({"user_id": "user-7"}, 1, 50))

    async def insert() -> Any:
        ledger = ledger_of(database, folder)
        now = time.time()
        for number in range(1000):
            id = f"{time.monotonic_ns()}-{number}"
            key = _token(number * 37 % size.keys)
            ledger.note(ROW._replace(call_id=id, key_hash=key, started=now, ended=now))
        await ledger.flush()
        await ledger.close()

    return {
        "look a key up": look_up,
        "/key/list, first page": page,
        "/key/list, page 100": far_page,
        "/key/list, a user's": users_page,
        "/spend/logs of a key": asked(calls.logs, calls.Logs, api_key=_token(3)),
        "/spend/logs/v2, a page": asked(calls.log_pages, calls.LogPages, **month),
        "/global/spend/report by team": asked(
            report.report, report.Report, **month, team_id="team-7"
        ),
        "/global/spend/report, all teams": asked(
            report.report, report.Report, **month, by_key="false"
        ),
        "/global/spend/provider": asked(totals.global_provider, totals.Days, **month),
        "/global/spend/keys, top 100": asked(totals.global_keys, totals.Top, limit=100),
        "/global/activity": asked(activity.global_activity, activity.Days, **month),
        "/user/daily/activity": asked(
            activity.user_activity, activity.UserActivity, **month, user_id="user-7"
        ),
        "insert 1,000 rows": insert,
    }


_EXPLAINED = {
    "/key/list": "SELECT token FROM trunkline_keys ORDER BY created_at DESC, token DESC LIMIT 50",
    "look-up": "SELECT * FROM trunkline_keys WHERE token = repeat('0', 64)",
    "/spend/logs of a key": "SELECT * FROM trunkline_spend_logs WHERE api_key = repeat('0', 64)"
    " ORDER BY started_at DESC LIMIT 50",
    "a month by team": "SELECT date, team_id, model, api_key, sum(spend) FROM trunkline_daily_spend"
    " WHERE date >= current_date - 30 AND team_id = 'team-7' GROUP BY 1, 2, 3, 4",
}


async def _plan(database: Database, statement: str) -> list[str]:
    async with database.reading() as connection:
        rows = await connection.execute(text(f"EXPLAIN (ANALYZE, COSTS OFF) {statement}"))
        lines = [str(line) for (line,) in rows]
    told = [line for line in lines if "never executed" not in line]
    return told[:8] + told[-2:]


async def _generate(database: Database, size: Size) -> None:
    today: date = datetime.now(UTC).date()
    await partitions.make(database, today - timedelta(DAYS))
    for back in range(0, DAYS, partitions.AHEAD):
        await partitions.make(database, today - timedelta(back))
    for statement in (_KEYS, _LOGS, _DAILY):
        async with database.writing() as connection:
            await connection.execute(
                text(statement), {"keys": size.keys, "rows": size.rows, "days": DAYS}
            )
    async with database.reading() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


def _token(number: int) -> str:
    return f"{number:064d}"


_KEYS = """
    INSERT INTO trunkline_keys
        (token, key_name, key_alias, user_id, team_id, created_at, updated_at, max_budget)
    SELECT lpad(n\\:\\:text, 64, '0'), 'sk-...' || n, 'alias-' || n,
        'user-' || n % (1 + :keys / 20),
        'team-' || n % (1 + :keys / 2500), now() - n * interval '1 second', now(), 100000000000
    FROM generate_series(0, CAST(:keys AS bigint) - 1) AS n
"""
_LOGS = """
    INSERT INTO trunkline_spend_logs
        (request_id, started_at, ended_at, first_byte_at, api_key, user_id, team_id, call_type,
         model_group, model, model_id, custom_llm_provider, prompt_tokens, completion_tokens, spend,
         status)
    SELECT lpad(to_hex((extract(epoch FROM at) * 1000)\\:\\:bigint), 12, '0')
            || left(md5(n\\:\\:text), 20),
        at, at + interval '2 seconds', at + interval '300 milliseconds',
        lpad(key\\:\\:text, 64, '0'), 'user-' || key % (1 + :keys / 20),
        'team-' || key % (1 + :keys / 2500), 'chat', 'gpt-' || n % 5, 'openai/gpt-' || n % 5,
        'd' || n % 7, 'openai', 100 + n % 900, n % 300, 1000 + n % 5000, 'success'
    FROM (
        SELECT n, n * 7919 % :keys AS key,
            now() - (n\\:\\:float8 / :rows) * :days * interval '1 day' AS at
        FROM generate_series(0, CAST(:rows AS bigint) - 1) AS n
    ) AS made
"""
_DAILY = """
    INSERT INTO trunkline_daily_spend
        (date, api_key, user_id, team_id, organization_id, end_user, model_group, model,
         custom_llm_provider, prompt_tokens, completion_tokens, spend, api_requests,
         successful_requests)
    SELECT (started_at AT TIME ZONE 'UTC')\\:\\:date, api_key, user_id, team_id, '', '',
        model_group, model, custom_llm_provider, sum(prompt_tokens), sum(completion_tokens),
        sum(spend), count(*), count(*)
    FROM trunkline_spend_logs GROUP BY 1, 2, 3, 4, 7, 8, 9
"""

if __name__ == "__main__":
    sys.exit(main())
