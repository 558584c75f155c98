"""Whether it is the request at which LiteLLM failed, looked into once it has.

LiteLLM takes requests apart without looking at their types, and fails in the middle. That alone
says nothing of whose fault it is; a field of a wrong type does, and a request without one is never
to blame here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ..call import Call
from ..errors import ErrorKind, ProviderError
from ..redaction import bounded
from . import failures
from .field_types import FIELD_TYPES, KINDS, FieldType

_SLIPS = (TypeError, AttributeError, LookupError, ValueError)
"""What Python raises over a value of another type than the code expects."""

_NO_SLIPS = (json.JSONDecodeError, OSError)
"""Failures of the answer and of the network that are kinds of those."""

_ABSENT = object()


def request_fault(chain: Iterable[BaseException], call: Call) -> ProviderError | None:
    """The error to tell the client when its request is at fault; None when it isn't.

    chain: what LiteLLM raised, with its causes, and no answer of a provider among them.
    """
    slips = [held for held in chain if _is_slip(held)]
    if not slips:
        return None
    lacking = {str(key) for slip in slips if isinstance(slip, KeyError) for key in slip.args}
    for field in FIELD_TYPES.get(call.operation.name, ()):
        for path, value in _found(call.body, field.path):
            if _is_wrong(field, value, call):
                return _wrong_type(path, field.kinds)
            if value is _ABSENT and field.required and field.path[-1] in lacking:
                return _missing(path)
    return next(filter(None, (_refused(slip, call.body) for slip in slips)), None)


def _is_slip(held: BaseException) -> bool:
    # LiteLLM raises plain exceptions where it looks at a type at all.
    return type(held) is Exception or (isinstance(held, _SLIPS) and not isinstance(held, _NO_SLIPS))


def _found(value: Any, path: tuple[str, ...], told: str = "") -> Iterator[tuple[str, Any]]:
    """The values at a path, each with the path as it is told; `_ABSENT` for a missing last one."""
    if not path:
        yield told, value
    elif path[0] == "[]":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            # As an item, null is a value of a wrong type.
            yield from _found(item, path[1:], f"{told}[{index}]")
    elif isinstance(value, dict):
        held = value.get(path[0])
        if held is not None or len(path) == 1:
            at = f"{told}.{path[0]}" if told else path[0]
            yield from _found(_ABSENT if held is None else held, path[1:], at)


def _is_wrong(field: FieldType, value: Any, call: Call) -> bool:
    if value is _ABSENT:
        return False
    if call.form and field.kinds != ("file",):
        return False  # a form's fields are all text
    allowed = tuple(kind for name in field.kinds for kind in KINDS[name])
    return not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)


def _refused(slip: BaseException, body: Mapping[str, Any]) -> ProviderError | None:
    """Which field of the request a model of Pydantic's refused, where it is one of the request's.

    LiteLLM puts fields of requests into such models, also into those of answers.
    """
    for detail in slip.errors() if isinstance(slip, ValidationError) else ():
        path, value = _followed(body, detail["loc"])
        if path and value == detail["input"]:
            failure = _bad_request(f"Invalid value for '{path}': {detail['msg']}.", path)
            failure.code = "invalid_value"
            return failure
    return None


def _followed(body: Any, location: Iterable[int | str]) -> tuple[str, Any]:
    """Where a location of Pydantic's leads in a request. Names of a union's types are left out."""
    told = ""
    for part in location:
        if isinstance(body, dict) and part in body:
            told = f"{told}.{part}" if told else str(part)
        elif isinstance(body, list) and isinstance(part, int) and part < len(body):
            told = f"{told}[{part}]"
        else:
            continue
        body = body[part]
    return told, body


def _wrong_type(path: str, kinds: tuple[str, ...]) -> ProviderError:
    expected = " or ".join(f"{'an' if kind[0] in 'aio' else 'a'} {kind}" for kind in kinds)
    failure = _bad_request(f"Invalid type for '{path}': expected {expected}.", path)
    failure.code = "invalid_type"
    return failure


def _missing(path: str) -> ProviderError:
    failure = _bad_request(f"Missing required parameter: '{path}'.", path)
    failure.code = "missing_required_parameter"
    return failure


def _bad_request(message: str, param: str) -> ProviderError:
    failure = failures.failure(ErrorKind.BAD_REQUEST, message)
    failure.param = bounded(param, 200)
    return failure
