"""What every test can use; see `support/` for how it works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .acceptance.plugin import refuse_unknown_criteria
from .support.gateway import Gateways
from .support.postgres import PostgresServer, postgres_server
from .support.providers import Providers

pytest_plugins = ["pytester", "tests.support.mlops"]

RUNNING: pytest.StashKey[list[Gateways]] = pytest.StashKey()
LONG = """
    test_schemathesis test_library_parity test_encoder_heads test_scores_training test_mlops_train
    test_management_clients test_canaries test_mlops_example test_config_reload test_rollout
""".split()
"""Files that take longest: they come first, or one process ends the suite alone with them."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUNNING] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    refuse_unknown_criteria(items)
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.failed:
        for gateways in item.config.stash[RUNNING]:
            report.sections += [(f"log of {one.url}", one.log()) for one in gateways.started]
    return report


def _gateways(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateways]:
    gateways = Gateways(tmp_path_factory.mktemp("gateway"))
    running = request.config.stash[RUNNING]
    running.append(gateways)
    yield gateways
    running.remove(gateways)
    gateways.stop_all()


@pytest.fixture
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateways]:
    """Starts gateways that end with the test: `gateway(config)` gives a running one."""
    yield from _gateways(request, tmp_path_factory)


@pytest.fixture(scope="module")
def module_gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateways]:
    """Starts gateways that the tests of a module share."""
    yield from _gateways(request, tmp_path_factory)


@pytest.fixture(scope="module")
def fakes() -> Iterator[Providers]:
    """Starts fake providers that the tests of a module share: `fakes(FakeOpenAI)`."""
    providers = Providers()
    yield providers
    providers.stop_all()


@pytest.fixture(autouse=True)
def _every_test_finds_the_fakes_fresh(request: pytest.FixtureRequest) -> None:
    if "fakes" in request.fixturenames:
        request.getfixturevalue("fakes").reset()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that the tests of a process share; each makes a database of its own."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """`database_url` of a configuration: none, for SQLite, then a new database of PostgreSQL."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres").database()
