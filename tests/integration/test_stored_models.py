"""Models that are added over the API: served at once, checked as those of the file, sealed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response

from tests.support.ledger import database_at, rows_of
from trunkline.access.identity import Authenticator
from trunkline.access.registry import MODELS, Registry
from trunkline.access.secrets import Secrets
from trunkline.api import errors
from trunkline.api.stored_models import router
from trunkline.call import Wire
from trunkline.deadline import Alarms
from trunkline.errors import GatewayError
from trunkline.gateway import Gateway, Serving
from trunkline.live.snapshot import build_snapshot
from trunkline.live.stored_models import StoredModels, load
from trunkline.settings import Settings
from trunkline.settings.schema import GeneralSettings
from trunkline.state.memory import MemoryBus, MemoryCounters
from trunkline.store.tables import models

MASTER = "sk-master-1234"
SECRET = "sk-provider-secret-98765"
NEW = {
    "model_name": "gpt",
    "litellm_params": {"model": "openai/gpt-4o", "api_key": SECRET, "rpm": 5},
    "model_info": {"mode": "chat"},
}
FILE = {
    "model_list": [
        {
            "model_name": "of-the-file",
            "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "k"},
            "model_info": {"id": "file-1"},
        }
    ],
    "credential_list": [{"credential_name": "mine", "credential_values": {"api_key": "k"}}],
}


class Served:
    """The endpoints of a gateway over a database.

    heard: what the bus carried.
    """

    def __init__(self, registry: Registry, gateway: Gateway, client: httpx.AsyncClient) -> None:
        self.registry = registry
        self.gateway = gateway
        self.client = client
        self.heard: list[str] = []
        registry.bus.subscribe(self.heard.append)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(path, json=body)

    async def good(self, path: str, **body: Any) -> Any:
        answer = await self.post(path, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def params(self, name: str) -> list[dict[str, Any]]:
        return [dict(each.params) for each in self.gateway.serving.snapshot.resolve(name)]


@contextlib.asynccontextmanager
async def served(url: str, folder: Path, *, stored: bool = True) -> AsyncIterator[Served]:
    general = GeneralSettings(master_key=MASTER, store_model_in_db=stored)
    settings = Settings.model_validate({**FILE, "general_settings": general})
    async with database_at(url, folder) as database:
        registry = Registry(database, Secrets("salt"), MemoryCounters(), MemoryBus())
        serving = Serving(
            **{
                **dict.fromkeys(Serving.__dataclass_fields__, cast("Any", None)),
                "snapshot": build_snapshot(settings, version=1),
                "authenticator": Authenticator(MASTER),
                "registry": registry,
                "heartbeat": 15.0,
            }
        )
        gateway = Gateway(serving)

        async def reload() -> None:
            wider = await load(database, registry.secrets, settings)
            gateway.serving = replace(gateway.serving, snapshot=build_snapshot(wider, version=2))

        app = FastAPI()
        app.include_router(router(gateway, Alarms(asyncio.get_running_loop()), reload))

        @app.exception_handler(GatewayError)
        async def refused(request: Request, error: GatewayError) -> Response:
            status, headers, body = errors.render(error, Wire.OPENAI)
            return Response(body, status, dict(headers))

        transport = httpx.ASGITransport(app)
        headers = {"authorization": f"Bearer {MASTER}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://gateway", headers=headers
        ) as client:
            yield Served(registry, gateway, client)


@pytest.mark.criterion("R4.1")
async def test_a_model_that_is_added_is_served_at_once_and_all_gateways_hear_of_it(
    database_url: str, tmp_path: Path
) -> None:
    async with served(database_url, tmp_path) as at:
        made = await at.good("/model/new", **NEW)
        assert at.params("gpt") == [NEW["litellm_params"]]
        (deployment,) = at.gateway.serving.snapshot.resolve("gpt")
        assert deployment.id == made["model_id"]
        assert made["model_info"] == {"mode": "chat", "id": made["model_id"], "db_model": True}
        assert SECRET not in str(made)
        assert at.heard == [MODELS]
        assert at.params("of-the-file")
        again = await at.good("/model/new", **{**NEW, "model_info": {"id": "mine"}})
        assert again["model_id"] == "mine"
        assert len(at.params("gpt")) == 2


async def test_what_is_stored_of_a_model_tells_no_credential(
    database_url: str, tmp_path: Path
) -> None:
    async with served(database_url, tmp_path) as at:
        await at.good("/model/new", **NEW)
        rows = await rows_of(at.registry.database, models)
        assert len(rows) == 1
        assert SECRET not in str(rows)
        stored = StoredModels(at.registry.database, Secrets("another salt"))
        assert await stored.all() == []


async def test_a_model_is_changed_in_parts_and_deleted(database_url: str, tmp_path: Path) -> None:
    async with served(database_url, tmp_path) as at:
        id = (await at.good("/model/new", **NEW))["model_id"]
        changed = await at.good(
            "/model/update", model_info={"id": id}, litellm_params={"rpm": 9, "timeout": 3}
        )
        assert changed["litellm_params"]["rpm"] == 9
        (params,) = at.params("gpt")
        assert params == {**NEW["litellm_params"], "rpm": 9, "timeout": 3}
        patched = await at.client.patch(
            f"/model/{id}/update", json={"model_name": "gpt-2", "litellm_params": {"rpm": None}}
        )
        assert patched.status_code == 200
        assert at.params("gpt") == []
        (params,) = at.params("gpt-2")
        assert "rpm" not in params
        told = await at.good("/model/delete", id=id)
        assert told == {"message": f"Model: {id} deleted successfully"}
        assert at.params("gpt-2") == []
        assert (await at.post("/model/delete", id=id)).status_code == 404
        assert (await at.post("/model/update", model_info={"id": id})).status_code == 404


def body(**changes: Any) -> dict[str, Any]:
    """A new model with some fields other than they should be."""
    params = {**NEW["litellm_params"], **changes.pop("params", {})}
    return {**NEW, "litellm_params": params, **changes}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (body(model_name=""), "model_name"),
        ({"model_name": "gpt"}, "litellm_params"),
        ({"model_name": "gpt", "litellm_params": {"api_key": "k"}}, "litellm_params.model"),
        (body(params={"timeout": "soon"}), "litellm_params.timeout"),
        (body(params={"lane": "fast"}), "litellm_params.lane"),
        (body(params={"api_key": "os.environ/HOME"}), "litellm_params.api_key"),
        (body(params={"extra_body": {"a": ["os.environ/X"]}}), "litellm_params.extra_body.a[0]"),
        (body(params={"azure_ad_token": "oidc/file/etc"}), "litellm_params.azure_ad_token"),
        (
            body(params={"litellm_credential_name": "nobody's"}),
            "litellm_params.litellm_credential_name",
        ),
        (
            body(params={"api_base": "https://user:password@host/v1"}),
            "litellm_params.api_base",
        ),
        (body(model_info={"max_tokens": -1}), "model_info.max_tokens"),
        (body(model_info={"id": "file-1"}), "model_info.id"),
    ],
)
async def test_a_bad_model_is_refused_by_the_name_of_the_field(
    tmp_path: Path, asked: dict[str, Any], param: str
) -> None:
    async with served("", tmp_path) as at:
        answer = await at.post("/model/new", **asked)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"] == param
        assert SECRET not in answer.text
        assert await rows_of(at.registry.database, models) == []
        assert at.heard == []


async def test_a_model_of_the_file_is_changed_only_there(tmp_path: Path) -> None:
    async with served("", tmp_path) as at:
        for path, asked in (
            ("/model/delete", {"id": "file-1"}),
            ("/model/update", {"model_info": {"id": "file-1"}, "model_name": "x"}),
        ):
            answer = await at.post(path, **asked)
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] == "model_of_the_file"


async def test_models_are_added_only_where_the_configuration_says_so(tmp_path: Path) -> None:
    async with served("", tmp_path, stored=False) as at:
        answer = await at.post("/model/new", **NEW)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "models_not_stored"
