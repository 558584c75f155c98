"""Gateways that charge, a provider whose answers have a known price, and what was recorded."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg

from tests.fakes import FakeOpenAI

from .gateway import Gateway
from .management import MASTER, Management

INPUT, OUTPUT = 1_000, 10_000
"""Nano-dollars a token."""
SETTLED_SECONDS = 40.0


def config(upstream: FakeOpenAI, **sections: Any) -> dict[str, Any]:
    """A configuration of the model `m` at a fake provider. sections: what is added to it."""
    prices = {"input_cost_per_token": INPUT / 1e9, "output_cost_per_token": OUTPUT / 1e9}
    params = {"model": "openai/m", "api_base": f"{upstream.url}/v1", "api_key": "sk-up"}
    general = {"master_key": MASTER, "salt_key": "salt", **sections.pop("general_settings", {})}
    router = {"num_retries": 0, **sections.pop("router_settings", {})}
    return {
        "general_settings": {n: value for n, value in general.items() if value != ""},
        "router_settings": router,
        "model_list": [
            {"model_name": "m", "litellm_params": params, "model_info": prices},
            {
                "model_name": "other",
                "litellm_params": params,
                "model_info": {**prices, "access_groups": ["cheap"]},
            },
        ],
        **sections,
    }


@dataclass(frozen=True, slots=True)
class Answered:
    """What a call came to."""

    status: int
    body: dict[str, Any]
    headers: httpx.Headers

    @property
    def call_id(self) -> str:
        return self.headers["x-trunkline-call-id"]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Gateways that share a database, and Redis where there is one."""

    gateways: Sequence[Gateway]
    database_url: str = ""

    @property
    def admin(self) -> Management:
        return Management(self.gateways[0].url)

    def ask(self, key: str, count: int = 1, **fields: Any) -> list[Answered]:
        """So many calls at once, over all gateways in turn."""
        return asyncio.run(self._ask(key, count, fields))

    def one(self, key: str, **fields: Any) -> Answered:
        (answer,) = self.ask(key, **fields)
        return answer

    async def _ask(self, key: str, count: int, fields: dict[str, Any]) -> list[Answered]:
        body = {"model": "m", "messages": [{"role": "user", "content": "one two three"}], **fields}
        limits = httpx.Limits(max_connections=None)
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60) as client:

            async def ask(number: int) -> Answered:
                url = self.gateways[number % len(self.gateways)].url
                answer = await client.post(f"{url}/v1/chat/completions", json=body)
                return Answered(answer.status_code, answer.json(), answer.headers)

            return await asyncio.gather(*map(ask, range(count)))

    def rows(self) -> list[dict[str, Any]]:
        """The ledger's rows, the oldest first."""
        query = "SELECT * FROM trunkline_spend_logs ORDER BY started_at"
        if self.database_url:
            with psycopg.connect(self.database_url) as connection:
                cursor = connection.execute(query)
                names = [column.name for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor]
        file = self.gateways[0].folder / ".trunkline" / "trunkline.db"
        connection = sqlite3.connect(file)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]
        finally:
            connection.close()

    def recorded(self, call_ids: Sequence[str]) -> None:
        """Each call that was answered was so once, and has exactly one row, in the end."""
        answered = set(call_ids)
        assert len(answered) == len(call_ids)
        rows = self.until(self.rows, lambda rows: answered <= {row["request_id"] for row in rows})
        assert len(rows) == len({row["request_id"] for row in rows})

    def rows_of(self, answers: Sequence[Answered]) -> list[dict[str, Any]]:
        """The rows of some calls, once all are there."""
        wanted = {answer.call_id for answer in answers}
        return self.until(
            lambda: [row for row in self.rows() if row["request_id"] in wanted],
            lambda rows: {row["request_id"] for row in rows} == wanted,
        )

    @staticmethod
    def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
        """What is seen once it is good."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while not good(found := look()):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return found


def statuses(answers: Sequence[Answered]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def cost(usage: dict[str, Any]) -> int:
    """Nano-dollars of an answer."""
    spent: int = usage["prompt_tokens"] * INPUT + usage["completion_tokens"] * OUTPUT
    return spent


def price_of_one(fleet: Fleet) -> int:
    """Nano-dollars that one of the fleet's calls costs."""
    return cost(fleet.one(MASTER).body["usage"])
