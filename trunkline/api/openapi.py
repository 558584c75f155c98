"""The OpenAPI document of everything that the gateway serves, and a page that lists it.

Made from the operations table, the prefixes that are passed on, and FastAPI's own routes; built
when it is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI

from ..call import Operation, Wire
from ..operations import OPERATIONS
from ..providers.passthrough.endpoints import METHODS
from ..providers.passthrough.table import ROWS, PassThrough
from . import realtime_http

Schema = dict[str, Any]

_NAME = re.compile(r"\{(\w+)(?::([\w|]+))?\}")
_ID = r"^[^\s./\\][^\s/\\]*$"
"""What ids look like: they become part of the provider's URL, and may not lead elsewhere in it."""
_TYPES: Mapping[type, str] = {
    str: "string",
    list: "array",
    dict: "object",
    int: "integer",
    float: "number",
    bool: "boolean",
}

_SECURITY: Schema = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
    "x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
}

_NULLABLE_TEXT: Schema = {"type": ["string", "null"]}
_ERRORS: Mapping[Wire, tuple[str, Schema]] = {
    Wire.OPENAI: (
        "OpenAIError",
        {
            "message": {"type": "string"},
            "type": {"type": "string"},
            "param": _NULLABLE_TEXT,
            "code": {"type": ["string", "integer", "null"]},
        },
    ),
    Wire.ANTHROPIC: (
        "AnthropicError",
        {"type": {"type": "string"}, "message": {"type": "string"}},
    ),
    Wire.GOOGLE: (
        "GoogleError",
        {
            "code": {"type": "integer"},
            "message": {"type": "string"},
            "status": {"type": "string"},
        },
    ),
}
_ERROR_STATUSES: Mapping[str, str] = {
    "400": "The request is malformed",
    "401": "The key is missing or wrong",
    "404": "The model or the object does not exist",
    "413": "The request is too large",
    "429": "Every deployment is at its limit",
    "503": "No deployment can take the call, or none is configured",
    "default": "What the provider answered, in the shape of this API",
}

_MESSAGE: Schema = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "examples": ["user"]},
        "content": {"type": ["string", "array", "null"]},
    },
}
_KNOWN_FIELDS: Mapping[str, Schema] = {"messages": {"type": "array", "items": _MESSAGE}}


@lru_cache(maxsize=1)
def document(app: FastAPI) -> Schema:
    """The document; not to be changed. app: serves what isn't in the tables."""
    whole = dict(app.openapi())
    paths: dict[str, Schema] = {path: _own(item) for path, item in whole["paths"].items()}
    for operation in (*OPERATIONS, *realtime_http.OPERATIONS):
        for number, path in enumerate(operation.paths):
            item = paths.setdefault(_plain(path), {})
            item[operation.method.lower()] = _described(operation, path, number)
    for row in ROWS:
        for prefix in row.prefixes:
            paths[f"/{prefix}/{{path}}"] = dict(_passed_on(row, prefix))
    whole["paths"] = dict(sorted(paths.items()))
    whole["components"] = {
        "schemas": {name: _error_schema(wire) for wire, (name, _) in _ERRORS.items()},
        "responses": {name: each for wire in Wire for name, each in _error_responses(wire).items()},
        "securitySchemes": _SECURITY,
    }
    whole["security"] = [{name: []} for name in _SECURITY]
    return whole


def router(app: FastAPI) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get("/openapi.json")
    async def openapi() -> Schema:
        return document(app)

    return routes


def _own(item: Schema) -> Schema:
    """A path of FastAPI's, with our errors in place of its own."""
    described = {}
    for method, operation in item.items():
        answers = {
            status: each for status, each in operation["responses"].items() if status != "422"
        }
        described[method] = {**operation, "responses": {**_errors(Wire.OPENAI), **answers}}
    return described


def _described(operation: Operation, path: str, number: int) -> Schema:
    described: Schema = {
        "operationId": operation.name if number == 0 else f"{operation.name}_{number + 1}",
        "summary": operation.summary,
        "tags": [operation.name.partition(".")[0]],
        "parameters": list(_path_parameters(path)),
        "responses": {"200": _answer(operation), **_errors(operation.wire)},
    }
    if operation.body != "none":
        described["requestBody"] = _body(operation, path)
    return described


def _path_parameters(path: str) -> Iterator[Schema]:
    for name, words in _NAME.findall(path):
        schema: Schema = {"type": "string", "minLength": 1}
        if words and words != "path":
            schema["enum"] = words.split("|")
        elif not words and name != "model":
            schema["pattern"] = _ID
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _plain(path: str) -> str:
    """The path as OpenAPI writes it, whose names span no slashes."""
    return _NAME.sub(r"{\1}", path)


def _body(operation: Operation, path: str) -> Schema:
    fields = {name: _field(name, types) for name, types in operation.required}
    needed = list(fields)
    if operation.model == "body" and "{model" not in path:
        fields["model"] = {"type": "string", "minLength": 1}
        needed.append("model")
    elif operation.model == "tool" and "{" not in path:
        fields["search_tool_name"] = {"type": "string", "minLength": 1}
        needed.append("search_tool_name")
    elif operation.model in {"optional", "own"}:
        fields.setdefault("model", {"type": "string", "minLength": 1})
    if operation.streams:
        fields["stream"] = {"type": "boolean"}
    schema: Schema = {"type": "object", "properties": fields, "additionalProperties": True}
    if needed:
        schema["required"] = needed
    content = {"application/json": {"schema": schema}}
    if operation.body == "multipart":
        form = {
            **fields,
            **{name: {"type": "string", "format": "binary"} for name in _files(operation)},
        }
        content = {"multipart/form-data": {"schema": {**schema, "properties": form}}}
    return {"required": bool(needed), "content": content}


def _files(operation: Operation) -> list[str]:
    """Fields of a form that any type is right for: the files."""
    return [name for name, types in operation.required if not types]


def _field(name: str, types: tuple[type, ...]) -> Schema:
    if name in _KNOWN_FIELDS:
        return dict(_KNOWN_FIELDS[name])
    named = [_TYPES[kind] for kind in types]
    if not named:
        return {}
    return {"type": named[0] if len(named) == 1 else named}


def _answer(operation: Operation) -> Schema:
    content: Schema = {"application/json": {"schema": {}}}
    if operation.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    if operation.answer == "any":
        content["*/*"] = {"schema": {"type": "string", "format": "binary"}}
    return {"description": "The provider's answer", "content": content}


def _errors(wire: Wire) -> Schema:
    name = _ERRORS[wire][0]
    return {
        status: {"$ref": f"#/components/responses/{name}_{status}"} for status in _ERROR_STATUSES
    }


def _error_responses(wire: Wire) -> Schema:
    """What `_errors` refers to."""
    name = _ERRORS[wire][0]
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return {
        f"{name}_{status}": {"description": words, "content": content}
        for status, words in _ERROR_STATUSES.items()
    }


def _error_schema(wire: Wire) -> Schema:
    _, fields = _ERRORS[wire]
    inner: Schema = {"type": "object", "required": sorted(fields), "properties": fields}
    outer: Schema = {"error": inner}
    if wire is Wire.ANTHROPIC:
        outer["type"] = {"type": "string", "const": "error"}
    return {"type": "object", "required": sorted(outer), "properties": outer}


def _passed_on(row: PassThrough, prefix: str) -> Iterator[tuple[str, Schema]]:
    for method in METHODS:
        described: Schema = {
            "operationId": f"{prefix}_{method.lower()}",
            "summary": f"Pass a request on to {row.name}",
            "tags": ["pass-through"],
            "parameters": list(_path_parameters("{path:path}")),
            "responses": {
                "200": {"description": "The provider's answer", "content": {"*/*": {}}},
                **_errors(row.wire),
            },
        }
        if method in {"POST", "PUT", "PATCH"}:
            described["requestBody"] = {"content": {"*/*": {"schema": {}}}}
        yield method.lower(), described
