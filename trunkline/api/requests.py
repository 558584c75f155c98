"""From a request to a call: what its path, query, headers and body ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from .. import json_text
from ..call import Call, Headers, Operation
from ..errors import InvalidRequest
from ..settings.client_parameters import forbidden_parameter
from .controls import take_controls
from .multipart import NO_FORM, Form

_CREDENTIAL_QUERY = frozenset({"key", "api_key", "api-version"})
_HINTS = frozenset({"model", "target_model_names", "custom_llm_provider"})
"""Where LiteLLM's clients say which account a call without a model is for."""

_TYPE_NAMES = {
    str: "a string",
    list: "an array",
    dict: "an object",
    int: "an integer",
    bool: "a boolean",
}


def read_call(
    call_id: str,
    started: float,
    operation: Operation,
    path: Mapping[str, str],
    query_string: bytes,
    headers: Mapping[str, str],
    body: bytes,
    form: Form = NO_FORM,
) -> Call:
    """The call that a request makes. Raises InvalidRequest.

    body: the request's bytes, empty where they are a form.
    """
    fields = form.fields if form.parts else _decode(body, operation)
    query = _query(query_string) if query_string else []
    provider = ""
    if operation.model in {"optional", "own"}:
        group, provider = _hints(path, fields, query, headers)
        query = [(name, value) for name, value in query if name not in _HINTS]
    elif operation.model == "tool":
        group, path = _search_tool(path, fields), {}
    else:
        group = _group(path, fields)
    _refuse_forbidden(fields)
    if path:
        _check_path(path)
    if operation.required:
        _check(operation, fields, form)
    call = Call(
        id=call_id,
        operation=operation,
        group=group,
        body=fields,
        started=started,
        raw=body,
        uploads=form.uploads,
        form=form.parts,
        path=path,
        query=query,
        headers=headers,
        stream=operation.streams and _streams(operation, fields, query),
        provider=provider,
    )
    take_controls(call)
    if call.fallback_groups:
        _check_fallbacks(call, form)
    return call


def _decode(body: bytes, operation: Operation) -> dict[str, Any]:
    if not body and operation.model in {"optional", "own"} and not operation.required:
        return {}
    return json_object(body)


def json_object(body: bytes) -> dict[str, Any]:
    """The object that a request's body is. Raises InvalidRequest."""
    try:
        fields = json_text.loads(body)
    except ValueError as error:
        raise InvalidRequest(f"The request's body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("The request's body must be a JSON object.")
    return fields


def _query(query_string: bytes) -> Headers:
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    return [(name, value) for name, value in pairs if name not in _CREDENTIAL_QUERY]


def _group(path: Mapping[str, str], fields: dict[str, Any]) -> str:
    group = path.get("model") or fields.get("model")
    if group is None:
        raise _missing("model")
    return _text(group, "model")


def _search_tool(path: Mapping[str, str], fields: dict[str, Any]) -> str:
    """The search tool, under either of LiteLLM's names for it; neither is the provider's."""
    named = [fields.pop(name, None) for name in ("search_tool_name", "model")]
    tool = next((each for each in (path.get("search_tool_name"), *named) if each is not None), None)
    if tool is None:
        raise _missing("search_tool_name")
    return _text(tool, "search_tool_name")


def _missing(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
    )


def _hints(
    path: Mapping[str, str],
    fields: dict[str, Any],
    query: Headers,
    headers: Mapping[str, str],
) -> tuple[str, str]:
    """The model group and the provider that the client names; empty where it names none."""
    asked = dict(query)
    provider = (
        path.get("provider")
        or headers.get("custom-llm-provider")
        or asked.get("custom_llm_provider")
    )
    stated = fields.pop("custom_llm_provider", None)
    targets = _targets(fields.pop("target_model_names", None) or asked.get("target_model_names"))
    group = fields.get("model") or asked.get("model") or headers.get("x-litellm-model") or targets
    return (
        _text(group, "model") if group else "",
        _text(provider or stated, "custom_llm_provider") if provider or stated else "",
    )


def _targets(names: Any) -> str:
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",") if name.strip()]
    if not names:
        return ""
    if not isinstance(names, list) or len(names) > 1:
        raise InvalidRequest(
            "'target_model_names' must name one model: an object lives in one account.",
            param="target_model_names",
        )
    return _text(names[0], "target_model_names")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequest(
            f"Invalid type for '{name}': expected a string that isn't empty.",
            param=name,
            code="invalid_type",
        )
    return value


def _refuse_forbidden(fields: Mapping[str, Any]) -> None:
    forbidden = forbidden_parameter(fields)
    if forbidden:
        raise InvalidRequest(
            f"A request may not set '{forbidden}': it is decided by the gateway's configuration.",
            param=forbidden,
            code="parameter_not_allowed",
        )


def _check_path(path: Mapping[str, str]) -> None:
    """Ids become part of the provider's URL: none may lead elsewhere in it."""
    for name, value in path.items():
        if name != "model" and (
            value.strip(".") == "" or "/" in value or "\\" in value or not value.isprintable()
        ):
            raise InvalidRequest(f"The path's '{name}' is not an id.", param=name)


def _check(operation: Operation, fields: Mapping[str, Any], form: Form) -> None:
    for name, types in operation.required:
        value = fields.get(name)
        if value is None:
            if any(upload.field == name for upload in form.uploads):
                continue
            raise _missing(name)
        if types and (
            not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
        ):
            expected = " or ".join(_TYPE_NAMES[kind] for kind in types)
            raise InvalidRequest(
                f"Invalid type for '{name}': expected {expected}.", param=name, code="invalid_type"
            )
        if name == "messages":
            _check_messages(fields["messages"])


def _check_fallbacks(call: Call, form: Form) -> None:
    """Whether the request is still one with the fields that a fallback puts in."""
    for stand_ins in (call.fallback_groups or {}).values():
        for each in stand_ins:
            try:
                _check(call.operation, {**call.body, **each.fields}, form)
            except InvalidRequest as error:
                raise InvalidRequest(
                    f"In 'fallbacks', for '{each.group}': {error.message}",
                    param="fallbacks",
                    code=error.code,
                ) from None


def _check_messages(messages: list[Any]) -> None:
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidRequest(
                f"Invalid type for 'messages[{index}]': expected an object.",
                param=f"messages[{index}]",
                code="invalid_type",
            )
        if not isinstance(message.get("role"), str):
            raise InvalidRequest(
                f"'messages[{index}].role' must be a string.",
                param=f"messages[{index}].role",
                code="invalid_type",
            )


_SWITCHES = {"true": True, "false": False}
"""What a switch looks like in a form or a query."""


def _streams(operation: Operation, fields: Mapping[str, Any], query: Headers) -> bool:
    if operation.model == "path":
        return True
    if fields.get("stream_format") == "sse":  # speech
        return True
    stream = fields.get("stream")
    if stream is None and query:
        stream = dict(query).get("stream")
    if isinstance(stream, str) and operation.body != "json":
        stream = _SWITCHES.get(stream.lower(), stream)
    if stream is None:
        return False
    if not isinstance(stream, bool):
        raise InvalidRequest(
            "Invalid type for 'stream': expected a boolean.", param="stream", code="invalid_type"
        )
    return stream
