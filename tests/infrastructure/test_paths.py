"""Which shell answers a path: the table against the running program, and in the template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cdk.paths import LARGEST_API, Row, Shell, match, rows, shell_of
from trunkline.operations import OPERATIONS

from .running import routes
from .synthesis import Synthesised, value

FARGATE, LAMBDA = Shell.FARGATE, Shell.LAMBDA

STREAMS_OR_LASTS = """
    POST /v1/chat/completions, POST /chat/completions, POST /engines/gpt/chat/completions
    POST /openai/deployments/gpt-4o/chat/completions, POST /openai/v1/chat/completions
    POST /v1/completions, POST /v1/messages, POST /v1/responses, GET /v1/responses/resp_1
    POST /v1beta/models/gemini:generateContent, POST /v1/models/gemini:streamGenerateContent
    POST /v1/audio/speech, POST /v1/images/generations, GET /v1/realtime, POST /v1/files
    GET /v1/files/file-1/content, POST /mcp, POST /mcp/tools, POST /a2a/agent, GET /bedrock/model/x
    POST /vertex_ai/v1/projects/p, POST /my/own/pass-through, POST /v1/threads/t/runs
"""
SHORT = """
    POST /key/generate, GET /key/info, GET /global/spend/report, POST /v1/embeddings
    POST /v1/moderations, POST /rerank, POST /v2/rerank, GET /v1/files, DELETE /v1/files/file-1
    POST /v1/batches, GET /v1/batches/b, GET /hot-reload/status, GET /v1/models, GET /models/a/b
    GET /health/readiness, GET /model/info, POST /v1/feedback, GET /, GET /openapi.json
    POST /utils/token_counter, POST /v1/search/my-tool, GET /v1/vector_stores/vs/files
"""


def _requests(text: str) -> list[tuple[str, str]]:
    return [(each[0], each[1]) for each in re.findall(r"([A-Z]+) (\S+?)(?:,|\s)", text + " ")]


def _example(path: str) -> str:
    """A path as a client may ask for it."""
    path = re.sub(r"\{\w+:path\}", "a/b", path)
    path = re.sub(r"\{\w+:([\w-]+)[^}]*\}", r"\1", path)
    return re.sub(r"\{\w+\}", "x1", path)


def _operations() -> Iterator[tuple[str, str, Shell]]:
    for operation in OPERATIONS:
        for path in operation.paths:
            yield operation.method, _example(path), shell_of(operation, path)


def test_what_streams_or_lasts_goes_to_fargate_and_what_is_short_to_lambda() -> None:
    table = rows()
    for text, shell in ((STREAMS_OR_LASTS, FARGATE), (SHORT, LAMBDA)):
        for method, path in _requests(text):
            found = match(table, method, path)
            assert found is not None
        assert found.shell is shell, (method, path, found)
    streaming = [each for each in OPERATIONS if each.streams]
    assert streaming
    assert {shell_of(each, path) for each in streaming for path in each.paths} == {FARGATE}


def test_without_fargate_lambda_answers_everything() -> None:
    table = rows(fargate=False)
    for method, path, _ in _operations():
        found = match(table, method, path)
        assert found is not None
        assert found.shell is LAMBDA


def test_whatever_else_the_running_program_serves_goes_to_lambda(tmp_path: Path) -> None:
    """Who adds a route has to add its path to the table."""
    table = rows()
    known = {(each.method, _plain(path)) for each in OPERATIONS for path in each.paths}
    others = [(method, path) for method, path in routes(tmp_path) if (method, path) not in known]
    assert len(others) > 80
    for method, path in others:
        found = match(table, method, _example(path))
        # What is passed on lasts as its provider wants; realtime's paths are beside its sockets.
        passed = path.endswith("/{path}") or "realtime" in path
        expected = FARGATE if passed else LAMBDA
        assert found is not None
        assert found.shell is expected, (method, path, found)


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", path)


def test_the_api_leads_each_operation_to_its_shell(prod: Synthesised) -> None:
    table, streamed, resources = _laid(prod.document("Gateway")["Resources"])
    assert table == set(rows())
    assert resources < LARGEST_API, "that a REST API may have"
    assert streamed == {row for row in table if row.shell is FARGATE}, (
        "these, and no others, stream"
    )
    for method, path, shell in _operations():
        found = match(table, method, path)
        assert found is not None
        assert found.shell is shell, (method, path, found)


def _laid(resources: Mapping[str, Any]) -> tuple[set[Row], set[Row], int]:
    """The rows of the template's API, those that stream, and how many resources it has."""
    paths = {"": ""}
    laid = {n: r["Properties"] for n, r in resources.items() if r["Type"].endswith("::Resource")}
    laid = {n: p for n, p in laid.items() if "PathPart" in p}

    def path_of(name: str) -> str:
        if name not in paths:
            parent = laid[name]["ParentId"].get("Ref", "")
            paths[name] = f"{path_of(parent)}/{laid[name]['PathPart']}"
        return paths[name]

    _has_one_variable_below_each(laid)
    table, streamed = set(), set()
    for resource in resources.values():
        if resource["Type"] == "AWS::ApiGateway::Method":
            method = resource["Properties"]
            integration = method["Integration"]
            path = path_of(method["ResourceId"].get("Ref", "")) or "/"
            shell = FARGATE if integration.get("ConnectionType") == "VPC_LINK" else LAMBDA
            row = Row(path, method["HttpMethod"], shell)
            table.add(row)
            if integration.get("ResponseTransferMode") == "STREAM":
                streamed.add(row)
            _leads_there(row, integration)
    return table, streamed, len(laid)


def _has_one_variable_below_each(laid: Mapping[str, Any]) -> None:
    """API Gateway refuses a second one."""
    variables: dict[str, list[str]] = {}
    for each in laid.values():
        if each["PathPart"].startswith("{"):
            variables.setdefault(value(each["ParentId"]), []).append(each["PathPart"])
    assert all(len(found) == 1 for found in variables.values()), variables


def _leads_there(row: Row, integration: Mapping[str, Any]) -> None:
    uri = value(integration["Uri"])
    if row.shell is LAMBDA:
        assert integration["Type"] == "AWS_PROXY"
        assert uri.endswith("/invocations")
        assert integration["TimeoutInMillis"] <= 29_000
        return
    assert integration["Type"] == "HTTP_PROXY"
    assert "Balancer" in value(integration["IntegrationTarget"])
    assert uri.endswith(row.path.replace("{proxy+}", "{proxy}"))
    for name in re.findall(r"\{(\w+)\+?\}", row.path):
        mapped = integration["RequestParameters"][f"integration.request.path.{name}"]
        assert mapped == f"method.request.path.{name}"
    assert integration["TimeoutInMillis"] == 15 * 60 * 1000
