"""LiteLLM's own clients manage the gateway: its Python client, and its `litellm-proxy` program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, Gateways, environment
from tests.support.management import MASTER, Management, config

INQUIRER = "class Choice: pass\ninquirer = None\n"
"""What its program asks a person with, which isn't among what tests install."""


@pytest.fixture(scope="module")
def server(module_gateway: Gateways) -> Gateway:
    return module_gateway(config())


@pytest.fixture(scope="module")
def admin(server: Gateway) -> Management:
    return Management(server.url)


@pytest.fixture(scope="module")
def client(server: Gateway):
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm.proxy.client import Client

    return Client(base_url=server.url, api_key=MASTER)


@pytest.mark.criterion("R11.2")
def test_the_python_client_manages_keys(client, admin):
    made = client.keys.generate(
        models=["fast"], key_alias="by-client", duration="1h", aliases={"quick": "fast"}, spend=0.5
    )
    assert admin.having(made["key"]).chat().status_code == 200
    assert client.keys.info(made["key"])["info"]["key_alias"] == "by-client"
    client.keys.update(made["key"], models=["other"], duration="2h")
    assert client.keys.info(made["token_id"])["info"]["models"] == ["other"]
    listed = client.keys.list(key_alias="by-client", return_full_object=True, size=5)
    assert [each["token"] for each in listed["keys"]] == [made["token_id"]]
    assert client.keys.delete(keys=[made["key"]])["deleted_keys"] == [made["key"]]
    assert client.keys.list(key_alias="by-client")["keys"] == []


@pytest.mark.criterion("R11.3")
def test_the_python_client_manages_users_and_sees_teams(server, client, admin):
    from litellm.proxy.client import UsersManagementClient

    team = admin.ask("/team/new", {"team_alias": "Clients"})["team_id"]
    users = UsersManagementClient(base_url=server.url, api_key=MASTER)
    made = users.create_user({"user_email": "c@clients.org", "teams": [team], "max_budget": 3})
    assert users.get_user(made["user_id"])["user_info"]["user_email"] == "c@clients.org"
    assert users.get_user_v2(made["user_id"])["teams"] == [team]
    assert made["user_id"] in [each["user_id"] for each in users.list_users()]
    assert [each["team_id"] for each in client.teams.list(user_id=made["user_id"])] == [team]
    assert client.teams.list_v2(team_alias="client")["total"] == 1
    assert users.delete_user([made["user_id"]]) == 1


def test_the_python_client_knows_the_gateways_refusals(server):
    from litellm.proxy.client import Client, UsersManagementClient
    from litellm.proxy.client.exceptions import NotFoundError, UnauthorizedError

    with pytest.raises(UnauthorizedError):
        Client(base_url=server.url, api_key="sk-nobody-at-all-here").keys.list()
    with pytest.raises(NotFoundError):
        UsersManagementClient(base_url=server.url, api_key=MASTER).get_user("nobody")


@pytest.fixture(scope="module")
def program(server: Gateway, tmp_path_factory: pytest.TempPathFactory):
    """Runs `litellm-proxy` with arguments, and gives what it printed."""
    folder: Path = tmp_path_factory.mktemp("program")
    package = folder / "InquirerPy" / "base"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py", package / "control.py"):
        file.write_text(INQUIRER)
    env = {
        **environment(folder),
        "PYTHONPATH": str(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_PROXY_URL": server.url,
        "LITELLM_PROXY_API_KEY": MASTER,
        "COLUMNS": "300",
    }

    def run(*arguments: str) -> str:
        command = "from litellm.proxy.client.cli import cli; cli()"
        done = subprocess.run(
            [sys.executable, "-c", command, *arguments],
            env=env,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.criterion("R11.2")
@pytest.mark.timeout(400)
def test_the_command_line_program_manages_keys(program, admin):
    assert "by-program" in program(
        "keys", "generate", "--models", "fast", "--key-alias", "by-program", "--duration", "1h"
    )
    token = admin.ask("/key/list", key_alias="by-program")["keys"][0]
    assert token[:8] in program("keys", "list", "--return-full-object", "--size", "100")
    program("keys", "delete", "--key-aliases", "by-program")
    assert admin.ask("/key/list", key_alias="by-program")["keys"] == []


@pytest.mark.criterion("R11.3")
@pytest.mark.timeout(400)
def test_the_command_line_program_manages_users_and_sees_teams(program, admin):
    team = admin.ask("/team/new", {"team_alias": "Program"})["team_id"]
    program("users", "create", "--email", "p@program.org", "--team", team, "--max-budget", "2")
    user = admin.ask("/user/list", user_email="p@program.org")["users"][0]
    assert user["user_role"] == "internal_user"
    assert "p@program.org" in program("users", "list")
    assert team in program("users", "get", "--id", user["user_id"])
    assert "Program" in program("teams", "list")
    program("users", "delete", user["user_id"])
    assert admin.refused("/user/info", status=404, user_id=user["user_id"])
