"""The database of a gateway: its tables are brought up to date, its connections are bounded."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from tests.fakes import Delay, FakeOpenAI
from tests.support.accounts import Fleet, config, statuses
from tests.support.gateway import DidNotStart, Gateways, trunkline, write_config
from tests.support.management import MASTER
from tests.support.postgres import PostgresServer
from tests.support.providers import Providers
from trunkline.store.schema import HEAD

LIMIT = 3


@pytest.fixture(scope="module")
def openai(fakes: Providers) -> FakeOpenAI:
    return fakes(FakeOpenAI)


def version(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT version_num FROM trunkline_schema")]


@pytest.mark.criterion("R4.1")
def test_gateways_that_start_together_make_the_tables_once(
    gateway: Gateways, openai: FakeOpenAI, postgres: PostgresServer
) -> None:
    url = postgres.database()
    settings = config(openai, general_settings={"database_url": url})
    started = [gateway(settings, ready=False) for _ in range(4)]
    for each in started:
        each.wait_until_ready()
    assert version(url) == [HEAD]
    key = Fleet(started, url).admin.key()
    assert statuses(Fleet(started, url).ask(key, 8)) == {200: 8}


def test_workers_share_one_file_of_sqlite(gateway: Gateways, openai: FakeOpenAI) -> None:
    server = gateway(config(openai), arguments=("--workers", "3"))
    fleet = Fleet([server])
    key = fleet.admin.key(max_budget=1)
    answers = fleet.ask(key, 60, max_tokens=20)
    assert statuses(answers) == {200: 60}
    assert len(fleet.rows_of(answers)) == 60
    assert "each of 3 processes enforces 1/3 of every limit" in server.log()


def test_the_tables_are_brought_up_to_date_by_a_command(
    tmp_path: Path, openai: FakeOpenAI, database_url: str
) -> None:
    write_config(tmp_path, config(openai, general_settings={"database_url": database_url}))
    command = ("db", "upgrade", "--config", "config.yaml")
    first, second = (trunkline(*command, folder=tmp_path) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, "the database is up to date now\n")
    assert (second.returncode, second.stdout) == (0, "the database was up to date\n")


def test_tables_of_an_older_program_get_what_they_lack(
    tmp_path: Path, openai: FakeOpenAI, database_url: str
) -> None:
    write_config(tmp_path, config(openai, general_settings={"database_url": database_url}))
    command = ("db", "upgrade", "--config", "config.yaml")
    trunkline(*command, folder=tmp_path)
    file = tmp_path / ".trunkline" / "trunkline.db"
    for statement in (
        "DROP TABLE trunkline_batches",
        "UPDATE trunkline_schema SET version_num = '0001'",
    ):
        run(database_url, file, statement)
    done = trunkline(*command, folder=tmp_path)
    assert done.stdout == "the database is up to date now\n"
    run(database_url, file, "SELECT place, due_at FROM trunkline_batches")


def run(url: str, file: Path, statement: str) -> None:
    with psycopg.connect(url) if url else sqlite3.connect(file) as connection:
        connection.execute(statement)


def test_tables_of_a_newer_program_are_refused(
    tmp_path: Path, openai: FakeOpenAI, database_url: str
) -> None:
    write_config(tmp_path, config(openai, general_settings={"database_url": database_url}))
    trunkline("db", "upgrade", "--config", "config.yaml", folder=tmp_path)
    newer = "UPDATE trunkline_schema SET version_num = '9999'"
    if database_url:
        with psycopg.connect(database_url) as connection:
            connection.execute(newer)
    else:
        with sqlite3.connect(tmp_path / ".trunkline" / "trunkline.db") as file:
            file.execute(newer)
    done = trunkline("serve", "--config", "config.yaml", "--port", "20001", folder=tmp_path)
    assert done.returncode == 2
    assert "it was made by a newer one" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://a:hush-canary@b/c", "database_url must be postgresql://"),
        ("postgresql://trunkline:hush-canary@127.0.0.1:1/x", "refused"),
        ("not an address", "database_url must be postgresql://"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_clear_line(
    tmp_path: Path, openai: FakeOpenAI, url: str, told: str
) -> None:
    general = {"database_url": url, "database_connection_timeout": 0.5}
    write_config(tmp_path, config(openai, general_settings=general))
    done = trunkline("serve", "--config", "config.yaml", "--port", "20001", folder=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "canary" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.criterion("R4.4")
def test_a_process_opens_no_more_connections_than_its_pool_has(
    gateway: Gateways, openai: FakeOpenAI, postgres: PostgresServer
) -> None:
    url = postgres.database()
    general = {"database_url": url, "database_connection_pool_limit": LIMIT}
    fleet = Fleet([gateway(config(openai, general_settings=general))], url)
    keys = [fleet.admin.key() for _ in range(40)]
    openai.fault(Delay(0.1), always=True)
    for key in keys:
        assert statuses(fleet.ask(key, 2)) == {200: 2}
    assert statuses(fleet.ask(MASTER, 50)) == {200: 50}
    with psycopg.connect(url) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'trunkline' AND datname = current_database()"
        ).fetchone() or (0,)
    assert 1 <= count <= LIMIT


def test_accounts_can_be_off(gateway: Gateways, openai: FakeOpenAI) -> None:
    server = gateway(config(openai, general_settings={"accounts": False}))
    fleet = Fleet([server])
    assert fleet.one(MASTER).status == 200
    assert fleet.one("sk-any-other-key").status == 401
    refused = fleet.admin.refused("/key/generate", {}, status=400)
    assert refused["code"] == "no_database"
    assert not (server.folder / ".trunkline").exists()


@pytest.mark.criterion("R12.4", "R6.6")
def test_what_is_spent_is_counted_by_model_and_team(gateway: Gateways, openai: FakeOpenAI) -> None:
    counted = config(openai, litellm_settings={"callbacks": ["prometheus"]})
    fleet = Fleet([gateway(counted)])
    team = fleet.admin.ask("/team/new", {"team_id": "search"})["team_id"]
    key = fleet.admin.key(team_id=team, key_alias="of-search", rpm_limit=2)
    answers = [fleet.one(key), fleet.one(key, model="other"), fleet.one(key)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    cost = float(answers[0].headers["x-trunkline-cost"])
    text = fleet.admin.send("/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("litellm_spend_metric_total{")]
    assert len(lines) == 2
    of_m = next(line for line in lines if 'requested_model="m"' in line)
    assert 'team="search"' in of_m
    assert 'api_key_alias="of-search"' in of_m
    assert float(of_m.rpartition(" ")[2]) == pytest.approx(cost)
    assert 'trunkline_refused_total{level="key",limit="requests"} 1.0' in text
    assert key not in text


def test_a_data_directory_that_cannot_be_written_is_told_at_the_start(
    gateway: Gateways, openai: FakeOpenAI, tmp_path: Path
) -> None:
    file = tmp_path / "a file"
    file.write_text("")
    with pytest.raises(DidNotStart, match="data_directory: nothing can be written to"):
        gateway(config(openai, general_settings={"data_directory": str(file / "below")}))
