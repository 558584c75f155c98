"""What all management endpoints share: who asks, what is asked, and the answer.

Each module lists its endpoints in a table; an endpoint is a path, the fields that it takes, and a
function that answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ... import json_text
from ...access.identity import Principal
from ...access.management.grantors import by
from ...access.registry import Registry
from ...dataclass import dataclass
from ...deadline import Alarms
from ...errors import InvalidRequest
from ...gateway import Gateway
from ..access import required
from ..http import read_body
from ..no_accounts import no_database
from ..requests import json_object
from .fields import check_storable

LARGEST_BODY = 1024 * 1024

IN_METADATA = frozenset(
    """
    tags guardrails policies prompts logging enforced_params disable_global_guardrails
    allowed_passthrough_routes denied_passthrough_routes rpm_limit_type tpm_limit_type
    end_user_budget_id enable_prompt_caching throttle_on_budget_exceeded mcp_rpm_limit
    tag_rpm_limit team_member_key_duration allowed_cache_controls object_permission
    router_settings access_group_ids secret_manager_settings allowed_vector_store_indexes
    default_team_member_models
    """.split()
)
"""Fields that LiteLLM keeps among the metadata, or has tables for that we have not."""

_BLANK_IS_NOTHING = ("team_id", "organization_id", "budget_id", "user_id", "key_alias")


class Body(BaseModel):
    """Fields of a request. What isn't known is ignored, as LiteLLM does."""

    model_config = ConfigDict(
        extra="allow",
        protected_namespaces=(),
        arbitrary_types_allowed=True,
        defer_build=True,  # until a request of its kind comes
    )

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, fields: Any) -> Any:
        if isinstance(fields, dict):
            blank = [name for name in _BLANK_IS_NOTHING if fields.get(name) == ""]
            return {name: value for name, value in fields.items() if name not in blank}
        return fields

    def asked(self) -> dict[str, Any]:
        """What was set, by columns; and as `metadata_fields` what is kept among the metadata."""
        declared = type(self).model_fields
        given = {name: getattr(self, name) for name in self.model_fields_set if name in declared}
        given |= {
            name: value for name, value in (self.model_extra or {}).items() if name in IN_METADATA
        }
        asked = {name: value for name, value in given.items() if name not in IN_METADATA}
        if len(asked) < len(given):
            asked["metadata_fields"] = {
                name: value for name, value in given.items() if name in IN_METADATA
            }
        return asked


class Nothing(Body):
    """For requests that take no fields."""


B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Call(Generic[B]):
    """A management call. path: its parameters."""

    registry: Registry
    caller: Principal
    body: B
    path: Mapping[str, str]

    @property
    def by(self) -> str:
        """How rows name the caller."""
        return by(self.caller)


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[B]):
    """body: what it takes: as JSON, or in the query of a GET."""

    method: str
    paths: tuple[str, ...]
    body: type[B]
    answer: Callable[[Call[B]], Awaitable[Any]]
    summary: str

    def as_query(self) -> bool:
        return self.method == "GET"


def router(
    gateway: Gateway, alarms: Alarms, tag: str, endpoints: Iterable[Endpoint[Any]]
) -> APIRouter:
    routes = APIRouter(tags=[tag])
    for endpoint in endpoints:
        for path in endpoint.paths:
            routes.add_api_route(
                path,
                _served(gateway, alarms, endpoint),
                methods=[endpoint.method],
                name=endpoint.answer.__name__,
                summary=endpoint.summary,
                openapi_extra=_Described(endpoint, path),
            )
    return routes


def _served(
    gateway: Gateway, alarms: Alarms, endpoint: Endpoint[Any]
) -> Callable[[Request], Awaitable[Response]]:
    check = required(gateway)

    async def serve(request: Request) -> Response:
        caller = await check(request)
        registry = _registry(gateway)
        if endpoint.as_query():
            fields: dict[str, Any] = dict(request.query_params)
        else:
            body = await read_body(request.receive, LARGEST_BODY, alarms)
            fields = json_object(body) if body or not _optional(endpoint) else {}
        check_storable(fields)
        check_storable(dict(request.path_params))
        call = Call(registry, caller, read(endpoint.body, fields), request.path_params)
        return Response(json_text.dumps(await endpoint.answer(call)), media_type="application/json")

    return serve


def _optional(endpoint: Endpoint[Any]) -> bool:
    """Whether nothing has to be said: then there may be no body either."""
    return not any(field.is_required() for field in endpoint.body.model_fields.values())


def _registry(gateway: Gateway) -> Registry:
    registry = gateway.serving.registry
    if registry is None:
        raise no_database()
    return registry


def read(body: type[B], fields: Mapping[str, Any]) -> B:
    """The fields in their types. Raises InvalidRequest, which names the first that is wrong."""
    try:
        return body.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    param = ".".join(str(part) for part in first["loc"]) or None
    words = first["msg"].removeprefix("Value error, ")
    message = f"'{param}': {words}." if param else f"{words}."
    raise InvalidRequest(message, param=param, code=first["type"])


class _Described(dict[str, Any]):
    """What the document says of an endpoint: made when it is read, which most processes never do.

    All of them together take a quarter of a second.
    """

    def __init__(self, endpoint: Endpoint[Any], path: str) -> None:
        super().__init__()
        self._of = endpoint, path

    def __bool__(self) -> bool:
        return True

    def items(self) -> Any:
        return _described(*self._of).items()


def _described(endpoint: Endpoint[Any], path: str) -> dict[str, Any]:
    schema = _inlined(endpoint.body.model_json_schema())
    schema.pop("title", None)
    parameters: list[dict[str, Any]] = []
    if "{" in path:
        name = path.partition("{")[2].partition(":")[0]
        parameters.append(
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        )
    if not endpoint.as_query():
        required = not _optional(endpoint)
        content = {"application/json": {"schema": schema}}
        return {
            "parameters": parameters,
            "requestBody": {"required": required, "content": content},
        }
    needed = schema.get("required", ())
    parameters += [
        {"name": name, "in": "query", "required": name in needed, "schema": each}
        for name, each in schema.get("properties", {}).items()
    ]
    return {"parameters": parameters}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references: the document keeps no schemas of ours."""
    known = schema.pop("$defs", {})

    def resolve(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return resolve(known[part["$ref"].rpartition("/")[2]])
            return {name: resolve(each) for name, each in part.items()}
        return [resolve(each) for each in part] if isinstance(part, list) else part

    resolved: dict[str, Any] = resolve(schema)
    return resolved
