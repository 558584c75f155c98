"""Upkeep on Lambda: what running gateways would do, done where none runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.lambda_runtime import FunctionFailed, function, told
from tests.support.management import MASTER, MODEL
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

pytestmark = pytest.mark.timeout(600)

STEPS = ["schema", "budgets", "ledger", "batches", "partitions", "keys", "spend"]
KEY = (
    "insert into trunkline_keys (token, expires, created_at, updated_at, spend, budget_duration,"
    " budget_reset_at) values"
)


def env(folder: Path, database: str, redis: RedisServer) -> dict[str, str]:
    config: dict[str, Any] = {
        "model_list": [MODEL],
        "router_settings": {"redis_host": "127.0.0.1", "redis_port": redis.port},
        "general_settings": {
            "master_key": MASTER,
            "database_url": database,
            "database_connection_timeout": 1,
        },
    }
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return {"TRUNKLINE_CONFIG": str(folder / "config.yaml")}


def test_budgets_begin_anew_and_keys_end_and_a_step_that_fails_stops_no_other(
    postgres: PostgresServer, redis: RedisServer, tmp_path: Path
) -> None:
    database = postgres.database()
    with function("maintenance", tmp_path, env(tmp_path / "config", database, redis)) as made:
        assert [step["name"] for step in made.invoke({})["steps"]] == STEPS
        for values in (
            "('long ago', now() - interval '91 days', now(), now(), 0, null, null)",
            "('lately', now() - interval '1 day', now(), now(), 0, null, null)",
            "('due', null, now(), now(), 7000, '1d', now() - interval '1 hour')",
        ):
            postgres.execute(f"{KEY} {values}", url=database)
        postgres.execute(
            "insert into trunkline_spend_logs (request_id, started_at, ended_at, spend) values"
            " ('a', now(), now(), 2500000000), ('later', now() + interval '1 minute', now(), 1)",
            url=database,
        )
        steps = {step["name"]: step["count"] for step in made.invoke({})["steps"]}
        assert steps["keys"] == 1
        assert steps["spend"] == 2.5
        rows = postgres.execute("select token, spend from trunkline_keys", url=database)
        assert {row[0]: row[1] for row in rows} == {"lately": 0, "due": 0}
        postgres.execute("alter table trunkline_replaced_keys rename to elsewhere", url=database)
        with pytest.raises(FunctionFailed, match="keys: "):
            made.invoke({})
        done = [
            each["step"] for each in told(made.log()) if each.get("message") == "a step is done"
        ]
        assert done[-6:] == [name for name in STEPS if name != "keys"]
        assert any("Maintenance_keys_failed" in str(event) for event in told(made.log()))
