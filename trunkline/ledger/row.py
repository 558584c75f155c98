"""What is kept of a call: one lean row, without prompt or answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

LARGEST = 2**43
"""What a number becomes that no call has: far from the largest that a database holds, so that sums
have room."""

_NUL = b"\\u0000"
"""What no database holds in a text, as JSON has it."""


class SpendRow(NamedTuple):
    """A call as the ledger keeps it.

    call_id: of one admission; unique. parent_id: of the client's call, where a workflow made this
        one or a fallback answered; else empty.
    started, ended, first_byte: seconds since 1970; first_byte None where nothing came.
    key_hash … customer_id: who is charged; empty where nobody of the kind is.
    model_group: as it was asked for. model: `litellm_params.model`. deployment: its id.
    input_tokens … reasoning_tokens: as `Usage` counts; None where the provider gave no figure.
    cost: nano-dollars; None where a price or the usage isn't known.
    status: "success", "failure" or "cancelled". error: class of the failure ("timeout").
    messages, response: JSON, where content is captured; else empty.
    shared: counters that the cost was held against and that no row of the database stands for
        ("model:gpt-4o", "key:3f9c…:model:gpt-4o"), each with its period (see `Hold`).
    """

    call_id: str
    parent_id: str
    started: float
    ended: float
    first_byte: float | None
    key_hash: str
    key_alias: str
    user_id: str
    team_id: str
    organization_id: str
    customer_id: str
    tags: tuple[str, ...]
    operation: str
    model_group: str
    model: str
    deployment: str
    provider: str
    api_base: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cache_creation_tokens: int | None
    reasoning_tokens: int | None
    cost: int | None
    cache_hit: bool
    stream: bool
    status: str
    error: str
    strategy: str
    bundle: str
    trace_id: str
    requester_ip: str = ""
    messages: str = ""
    response: str = ""
    shared: tuple[tuple[str, int], ...] = ()

    @property
    def total_tokens(self) -> int:
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def encoded(self) -> bytes:
        """As it lies in the stream, in the journal and in memory: a JSON array, in the order of the
        fields, without what no database holds."""
        try:
            found = orjson.dumps((*self,), option=orjson.OPT_STRICT_INTEGER)
        except TypeError:  # half a surrogate pair, or a number of more than 53 bits
            found = _NUL
        return orjson.dumps([_clean(value) for value in self]) if _NUL in found else found

    @classmethod
    def decoded(cls, content: bytes) -> SpendRow:
        """Raises ValueError for what isn't a row."""
        values = orjson.loads(content)
        if not isinstance(values, list) or not _REQUIRED <= len(values) <= len(FIELDS):
            raise ValueError("not a row of the ledger")
        # A row of an older program lacks the last fields, which have defaults.
        row = dict(zip(FIELDS, values, strict=False))
        row["tags"] = tuple(row["tags"])
        row["shared"] = tuple((counter, period) for counter, period in row.get("shared", ()))
        if not all(_KINDS[name](row[name]) for name in row):
            raise ValueError("not a row of the ledger")
        return cls(**row)


FIELDS = SpendRow._fields
_REQUIRED = len(FIELDS) - len(SpendRow._field_defaults)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: type(value) is str,
    "bool": lambda value: type(value) is bool,
    "float": lambda value: type(value) in (int, float),
    "float | None": lambda value: value is None or type(value) in (int, float),
    "int | None": lambda value: value is None or type(value) is int,
    "tuple[str, ...]": lambda value: all(type(each) is str for each in value),
    "tuple[tuple[str, int], ...]": lambda value: all(
        type(counter) is str and type(period) is int for counter, period in value
    ),
}
_KINDS = {name: _CHECKS[kind.__forward_arg__] for name, kind in SpendRow.__annotations__.items()}
"""Whether a value may be a field's."""


def _clean(value: Any) -> Any:
    """The same as a database holds it."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if type(value) is int:
        return max(0, min(value, LARGEST))
    if isinstance(value, tuple):
        return [_clean(each) for each in value]
    return value
