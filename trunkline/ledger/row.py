"""What is kept of a call: one lean row, without prompt or answer."""

from __future__ import annotations

from dataclasses import dataclass, fields

import orjson


@dataclass(frozen=True, slots=True)
class SpendRow:
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

    @property
    def total_tokens(self) -> int:
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def encoded(self) -> bytes:
        """As it lies in the stream and in the journal: a JSON array, in the order of the fields."""
        return orjson.dumps([getattr(self, name) for name in FIELDS])

    @classmethod
    def decoded(cls, content: bytes) -> SpendRow:
        """Raises ValueError for what isn't a row."""
        values = orjson.loads(content)
        if not isinstance(values, list) or len(values) != len(FIELDS):
            raise ValueError("not a row of the ledger")
        row = dict(zip(FIELDS, values, strict=True))
        row["tags"] = tuple(row["tags"])
        return cls(**row)


FIELDS = tuple(field.name for field in fields(SpendRow))
