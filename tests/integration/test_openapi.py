"""The OpenAPI document: it lists what the gateway serves, and is what tools take for one."""

from __future__ import annotations

import re

import httpx
import pytest
import schemathesis

from tests.support.gateway import Gateways
from trunkline.operations import OPERATIONS
from trunkline.providers.passthrough.table import BY_PREFIX

KEY = "sk-gateway-master-key"
AUTH = {"authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def server(module_gateway: Gateways):
    model = {"model_name": "mock", "litellm_params": {"model": "openai/x", "mock_response": "hi"}}
    return module_gateway({"general_settings": {"master_key": KEY}, "model_list": [model]})


@pytest.fixture(scope="module")
def document(server) -> dict:
    answer = httpx.get(f"{server.url}/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(document: dict) -> list[tuple[str, str, dict]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def resolved(document: dict, value: dict) -> dict:
    while "$ref" in value:
        target: dict = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        value = target
    return value


@pytest.mark.criterion("R1.1")
def test_the_document_is_valid_openapi(document):
    schemathesis.openapi.from_dict(document).validate()


@pytest.mark.criterion("R1.1")
def test_every_path_of_every_operation_stands_in_it(document):
    written = {(path, method) for path, method, _ in operations(document)}
    for operation in OPERATIONS:
        for path in operation.paths:
            plain = re.sub(r":[\w|]+\}", "}", path)
            assert (plain, operation.method.lower()) in written
    for prefix in BY_PREFIX:
        assert (f"/{prefix}/{{path}}", "post") in written
    for path in ("/v1/models", "/model/info", "/health", "/health/readiness", "/"):
        assert (path, "get") in written


@pytest.mark.criterion("R1.1")
def test_the_endpoints_of_litellms_proxy_are_there(document):
    named = [
        "/chat/completions",
        "/embeddings",
        "/images/generations",
        "/audio/transcriptions",
        "/audio/speech",
        "/moderations",
        "/batches",
        "/rerank",
        "/messages",
    ]
    for path in named:
        assert "post" in document["paths"][f"/v1{path}"]
        assert "post" in document["paths"][path]


@pytest.mark.criterion("R1.1")
def test_required_fields_types_and_bodies_are_told(document):
    chat = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    schema = chat["content"]["application/json"]["schema"]
    assert chat["required"] is True
    assert set(schema["required"]) == {"messages", "model"}
    assert schema["properties"]["messages"]["type"] == "array"
    assert schema["properties"]["stream"]["type"] == "boolean"
    deployed = document["paths"]["/openai/deployments/{model}/chat/completions"]["post"]
    assert deployed["requestBody"]["content"]["application/json"]["schema"]["required"] == [
        "messages"
    ]
    assert [each["name"] for each in deployed["parameters"]] == ["model"]
    form = document["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]["content"]
    assert form["multipart/form-data"]["schema"]["properties"]["file"]["format"] == "binary"
    assert "requestBody" not in document["paths"]["/v1/files"]["get"]


@pytest.mark.criterion("R1.1")
@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/v1/chat/completions", {"model": "mock"}, AUTH, "400"),
        ("/v1/chat/completions", {}, {}, "401"),
        ("/v1/messages", {"model": "mock"}, AUTH, "400"),
        ("/v1beta/models/mock:generateContent", {}, AUTH, "400"),
        ("/v1beta/models/nothing:generateContent", {"contents": []}, AUTH, "404"),
        ("/anthropic/x", {}, AUTH, "503"),
    ],
)
def test_errors_have_the_shape_that_the_document_tells(
    server, document, path, body, headers, status
):
    answer = httpx.post(server.url + path, json=body, headers=headers)
    assert answer.status_code == int(status)
    template = path.replace("models/mock", "models/{model}").replace(
        "models/nothing", "models/{model}"
    )
    template = template.replace("/anthropic/x", "/anthropic/{path}")
    told = document["paths"][template]["post"]["responses"][status]
    schema = resolved(document, told)["content"]["application/json"]["schema"]
    schema = resolved(document, schema)
    error = answer.json()
    assert set(schema["required"]) <= set(error)
    assert set(schema["properties"]["error"]["required"]) <= set(error["error"])


@pytest.mark.criterion("R1.1", "R11.1")
def test_what_needs_no_key_is_told_and_everything_else_needs_one(server, document):
    assert document["security"]
    open_paths = {path for path, _, each in operations(document) if each.get("security") == []}
    assert open_paths == {"/", "/health/liveliness", "/health/liveness", "/health/readiness"}
    with httpx.Client(base_url=server.url) as client:
        for path, method, _ in operations(document):
            if path in open_paths:
                continue
            asked = re.sub(r"\{provider\}", "openai", path)
            asked = re.sub(r"\{\w+\}", "x", asked)
            answer = client.request(method.upper(), asked)
            assert answer.status_code == 401, (method, path, answer.text)


@pytest.mark.criterion("R1.1")
def test_the_documentation_page_loads_nothing_from_elsewhere(server):
    page = httpx.get(f"{server.url}/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "/v1/chat/completions" in page.text
    assert not re.search(r"<script|https?://|@import|<link", page.text)


@pytest.mark.criterion("R1.1")
def test_the_root_and_the_list_of_routes_say_what_is_there(server):
    assert httpx.get(f"{server.url}/").json()["name"] == "Trunkline"
    routes = httpx.get(f"{server.url}/routes", headers=AUTH).json()["routes"]
    chat = next(route for route in routes if route["path"] == "/v1/chat/completions")
    assert chat["methods"] == ["POST"]
