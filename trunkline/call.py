"""The data that travels through the pipeline: operations, deployments, calls, answers.

Operation    a kind of call, one row of the table in `operations.py`
Deployment   one entry of `model_list` or `search_tools`, ready to be called
Call         one request of a client, from the door to the answer
StandIn      a model group that is asked where another has failed
Caching      what a request asks of the cache of answers
Decision     how a learned strategy ranks the models that a call may go to
Part         what a call that a workflow makes is to the client's call
Attempt      one try of a call on one deployment
Answer       what goes back to the client: bytes, or chunks as they arrive
Usage        what a call consumed
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Literal

from .dataclass import dataclass
from .errors import ProviderError, let_go

Headers = list[tuple[str, str]]
"""Header names in lower case with their values, in the order in which they are sent."""

IDS_AT_ONCE = 128
"""Call ids that are drawn together."""
_RANDOM = 20
"""Hexadecimal digits of a call id that are random."""


UsageKind = Literal["openai", "responses", "media", "ocr", "runs", "anthropic", "google", "none"]
"""How an answer tells what was used (see `providers/usage.py`)."""


class Wire(StrEnum):
    """The format in which an API is spoken: its bodies, its streams and its errors."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class Operation:
    """A kind of call. Endpoints, documentation and both lanes are made from it.

    name: what the operation is called in logs, headers and metrics ("chat").
    wire: the format that clients of these paths speak.
    method: the HTTP method.
    paths: path templates (`api/routes.py`); `{model}` is the model group, `{provider}` LiteLLM's
        name of a provider, other names are object ids.
    upstream: path below a provider's base URL that speaks the same wire, with the same names in
        braces; empty when there is none.
    function: LiteLLM's async function for it; empty when LiteLLM has none.
    body: how the request's body is encoded; `multipart` takes JSON too.
    model: where the model group stands. `optional`: in the body, the query or a header, or nowhere;
        `own`: the same, but a name that is no group of ours is the provider's own; `tool`: nowhere,
        since the path or the body names a search tool instead.
    usage: which reader learns the usage from the answer (see `providers/usage.py`).
    stateful: whether it reads or creates objects that live with the provider's account.
    streams: whether the answer may be a stream of server-sent events.
    answer: `any` where it may be something else than JSON or events, and is passed on as it comes.
    required: fields that the body must have, with the JSON types that each may be of; none for
        fields of any type.
    summary: one line for the API's documentation.
    """

    name: str
    wire: Wire
    method: str
    paths: tuple[str, ...]
    upstream: str = ""
    function: str = ""
    body: Literal["json", "multipart", "none"] = "json"
    model: Literal["body", "path", "optional", "own", "tool"] = "body"
    usage: UsageKind = "none"
    stateful: bool = False
    streams: bool = False
    answer: Literal["json", "any"] = "json"
    required: tuple[tuple[str, tuple[type, ...]], ...] = ()
    summary: str = ""

    @property
    def family(self) -> str:
        """What the name begins with: "files" for "files.create"."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """One entry of `model_list` or `search_tools`: a provider, its parameters, its credentials.

    id: `model_info.id`, else a digest of the entry; stable between starts.
    group: the `model_name` that clients ask for; may hold a wildcard (`openai/*`). Of a search
        tool, the `search_tool_name`.
    model: `litellm_params.model` as it is written ("azure/my-gpt-4o").
    provider: LiteLLM's name for the provider ("azure"); empty when only LiteLLM can tell.
    upstream_model: the model as the provider knows it ("my-gpt-4o").
    params: `litellm_params` with `os.environ/` references resolved.
    info: `model_info`.
    missing: environment variables that the entry names and that are not set; a deployment that
        misses any is never a candidate.
    timeout, stream_timeout: seconds.
    tiers: the same for requests of a service tier, by its name.
    rpm, tpm: requests and tokens a minute that the deployment can take.
    tool: whether it is a search tool, which serves searches and nothing else.
    """

    id: str
    group: str
    model: str
    provider: str
    upstream_model: str
    params: Mapping[str, Any] = field(repr=False)
    info: Mapping[str, Any]
    missing: tuple[str, ...] = ()
    order: int | None = None
    weight: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None
    timeout: float | None = None
    stream_timeout: float | None = None
    tiers: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    tool: bool = False

    @property
    def label(self) -> str:
        """What logs, headers and errors call the deployment."""
        return f"{self.model} ({self.id})"

    @property
    def group_label(self) -> str:
        """What errors call its group."""
        return f"{'search tool' if self.tool else 'model'} '{self.group}'"


@dataclass(frozen=True, slots=True)
class UsageDetails:
    """What a usage tells beside tokens of text; 0 where it tells nothing.

    audio_input … video_output: tokens, counted in `Usage` too, those from the cache included.
    cached_audio, cached_image: tokens of them that were read from the provider's cache.
    created_hour: of the tokens written to the cache, those that are kept for an hour.
    citations: tokens of cited sources that are charged beside the input.
    searches, maps: searches of the web, and of maps, that the model made.
    search_units: what a reranker charges by. pages, annotated_pages, credits: what OCR charges by.
    characters, images: of an input. seconds: of audio. video_seconds: of video.
    resolution: of the video that was made ("720p").
    cost: dollars that the provider says the call costs.
    modes: how it was served, where that has a price ("fast", "us").
    """

    audio_input: int = 0
    image_input: int = 0
    video_input: int = 0
    audio_output: int = 0
    image_output: int = 0
    video_output: int = 0
    cached_audio: int = 0
    cached_image: int = 0
    created_hour: int = 0
    citations: int = 0
    searches: int = 0
    maps: int = 0
    search_units: int = 0
    pages: int = 0
    annotated_pages: int = 0
    credits: float = 0.0
    characters: int = 0
    images: int = 0
    seconds: float = 0.0
    video_seconds: float = 0.0
    resolution: str = ""
    cost: float | None = None
    modes: tuple[str, ...] = ()


@dataclass(slots=True)
class Usage:
    """What a call consumed, as the provider counted it; None where it gave no figure.

    input_tokens: all of the input, with what was read from or written to the provider's cache.
    output_tokens: all of the output, with the reasoning.
    tier: the service tier that the provider says it served ("priority"), or None.
    details: None where there is nothing to tell but the figures above.
    raw: the provider's own usage object.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_creation_tokens: int | None = None
    reasoning_tokens: int | None = None
    raw: Mapping[str, Any] | None = None
    tier: str | None = None
    details: UsageDetails | None = None

    @property
    def total_tokens(self) -> int:
        return (self.input_tokens or 0) + (self.output_tokens or 0)


@dataclass(frozen=True, slots=True)
class Upload:
    """One file part of a multipart request, spooled to disk when it is large.

    field: the form field's name without the brackets of an array ("image" for `image[]`).
    """

    field: str
    filename: str
    content_type: str
    file: IO[bytes]
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an attempt may take, in seconds.

    total: until the whole answer is there; for a stream, until its first chunk.
    idle: the longest silence between two chunks of a stream.
    """

    total: float
    idle: float


@dataclass(slots=True)
class Attempt:
    """One try of a call on one deployment, and how it ended.

    lane: "direct", "litellm" or "mock". started, ended: seconds of the monotonic clock.
    answered: when the provider's answer, or the first chunk of it, was there.
    """

    deployment: Deployment
    started: float
    lane: str = ""
    answered: float | None = None
    ended: float | None = None
    error: ProviderError | None = None

    @property
    def seconds(self) -> float:
        return (self.ended or self.started) - self.started


@dataclass(frozen=True, slots=True)
class StandIn:
    """A model group that is asked in the place of one that failed.

    fields: fields of the request's body that take the place of the client's.
    timeout, num_retries: as in `Call`; None where the call's own hold.
    """

    group: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    num_retries: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How a learned strategy ranks the models that a call may go to, decided once a call.

    strategy: its name. bundle: the version that decided.
    ranking: labels, the best first; empty where there is no decision.
    scores: of `ranking`, in its order.
    seconds: what it took.
    missing: why there is no decision, so that the built-in default picks: "no_query", "timeout",
        "busy" or "error"; empty where there is one.
    trial, arm: while a candidate is on trial, the trial's id and who decides the call, "current" or
        "candidate"; else empty.
    names: all labels that deployments may stand for, to the call's end: other bundles have others.
    """

    strategy: str
    bundle: str
    ranking: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    seconds: float = 0.0
    missing: str = ""
    trial: str = ""
    arm: str = ""
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class Part:
    """What a call that a workflow makes is to the client's call, which the workflow answers.

    of: the id of the client's call. query: what the user asks in it.
    step: what it is for ("verify"). answers: whether its answer may be the client's.
    label: of the model that answered; empty as long as none has.
    """

    of: str
    query: str
    step: str
    answers: bool
    label: str = ""


@dataclass(frozen=True, slots=True)
class Caching:
    """What a request asks of the cache of answers.

    read, write: whether a kept answer will do, and whether the answer may be kept.
    wanted: whether it asks to be cached where only such requests are.
    ttl: seconds that the answer may be kept. max_age: seconds that a kept one may be old.
    namespace: who asks under another name has other answers.
    """

    read: bool = True
    write: bool = True
    wanted: bool = False
    ttl: float | None = None
    max_age: float | None = None
    namespace: str = ""


DEFAULT_CACHING = Caching()


@dataclass(slots=True)
class Call:
    """One request of a client, or of a workflow that answers one.

    id: the call's id, also the answer's `x-trunkline-call-id`.
    operation: the row of the operations table.
    group: the model group asked for; empty where the operation names none.
    body: the decoded JSON object, or the plain fields of a multipart form.
    raw: the request's bytes where they are forwarded as they came.
    uploads: the files of a multipart form.
    form: the parts of a multipart form in their order, under the names that they came under.
    path: values of the path template's names.
    query: query parameters to hand on, without credentials.
    headers: the client's headers, lower-case names, without credentials.
    stream: whether the client asked for a stream.
    timeout: seconds that the client allows, from its request; None for the configured one.
    num_retries: retries that the client asks for, from its request.
    fallback_groups: what stands in for which group, as the client says; `*` for all that aren't
        named, and nothing for no fallback at all. None for the configured ones.
    provider: LiteLLM's name of the provider that the client asks for; empty for any.
    account: the provider's account that holds the objects which the request names (see
        `providers/affinity.py`); empty for any.
    cost_weight: what the client asks a learned strategy to weigh costs with (see
        `routing/heads/head.py`); None for the configured weight.
    caller: with whom its answers may be shared.
    caching: what the client asks of the cache of answers.
    cache_key: under which its answer is kept, or would be; empty where it isn't.
    cached: how the answer came: "hit", or "shared" with a call that was under way; else empty.
    payer: whom it is charged to (see `charging/charges.py`); None where nobody is.
    charge: what it holds of limits, until it is settled; None where it holds nothing.
    limits: headers that tell what is left of its caller's rate limits, encoded.
    trace: the trace that it belongs to; empty where none is made.
    turn: whose it is to decide the call, where a workflow answers it (see `routing/learned.py`).
    decision: what a learned strategy made of the call; None as long as none was asked.
    part: what it is to a client's call; None where it is one.
    inner: the calls that a workflow made to answer it, in their order.
    started: when the request arrived, seconds of the monotonic clock.
    context: tokens that the model reads beside the request: of a conversation at the provider.
    waited: seconds that passed before retries; with inner calls, while it waited for any of them.
    usage: what it consumed, with its inner calls.
    """

    id: str
    operation: Operation
    group: str
    body: dict[str, Any]
    started: float
    raw: bytes = b""
    uploads: tuple[Upload, ...] = ()
    form: tuple[tuple[str, str | Upload], ...] = ()
    path: Mapping[str, str] = field(default_factory=dict)
    query: Headers = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    timeout: float | None = None
    num_retries: int | None = None
    tags: tuple[str, ...] = ()
    fallback_groups: Mapping[str, Sequence[StandIn]] | None = None
    provider: str = ""
    account: str = ""
    cost_weight: float | None = None
    caller: str = ""
    caching: Caching = DEFAULT_CACHING
    cache_key: str = ""
    cached: str = ""
    payer: Any = None
    charge: Any = None
    limits: list[tuple[bytes, bytes]] = field(default_factory=list)
    trace: str = ""
    turn: Any = None
    decision: Decision | None = None
    part: Part | None = None
    inner: list[Call] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    fallbacks: int = 0
    context: int = 0
    waited: float = 0.0
    usage: Usage = field(default_factory=Usage)

    def let_go(self) -> None:
        """Frees what holds on to the call itself, once nobody asks for it any more: what it is
        charged by, and the failures of its attempts."""
        self.charge = None
        for attempt in self.attempts:
            if attempt.error is not None:
                let_go(attempt.error)
        for call in self.inner:
            call.let_go()


@dataclass(slots=True)
class Answer:
    """What goes back to the client.

    headers: the provider's headers that clients read (content type, rate limits, request id).
    body: the whole body; unused when `chunks` is set.
    chunks: the body as it arrives. Iterating raises `ProviderError` when the provider dies;
        closing the iterator cancels the provider's request.
    """

    status: int
    headers: Headers
    body: bytes = b""
    chunks: AsyncIterator[bytes] | None = None


def call_ids() -> Iterator[str]:
    """Call ids without end: 32 hexadecimal digits each, of which the first twelve are the time in
    milliseconds, as in UUIDs of version 7 (RFC 9562), and 80 bits are random.

    Ids that grow with time lie side by side in the database's index: with random ones, every row
    changes another page of it. They are drawn many at once, as asking the system for each takes up
    to 25 µs; so the time is the one at which the first of them was. A process that is forked must
    make its own iterator, or it gives out the ids of its parent.
    """
    while True:
        digits = os.urandom(_RANDOM // 2 * IDS_AT_ONCE).hex()
        now = f"{time.time_ns() // 1_000_000:012x}"
        for start in range(0, len(digits), _RANDOM):
            yield now + digits[start : start + _RANDOM]
