"""Providers on loopback: real HTTP and WebSocket servers that speak their true wire formats.

    async with FakeOpenAI() as fake:
        fake.fault(Status(429), None, CutMidStream(after_chunks=2))  # for three requests
        fake.answer("four", usage=Tokens(input=10, cached=8))        # for the first of them
        ...                                                          # call fake.base_url
        assert fake.requests[0].json["model"] == "gpt-4o"

`server.FakeProvider` is what they share, `faults` is what can go wrong, `script` is what a test may
let them say, `model` is what they say of themselves. By hand: `python -m tests.fakes`.
"""

from .anthropic import FakeAnthropic
from .azure import FakeAzure
from .bedrock import FakeBedrock
from .cohere import FakeCohere
from .faults import (
    CloseUnannounced,
    Compressed,
    ContentPolicyViolation,
    ContextWindowExceeded,
    CutAfterHeaders,
    CutBeforeHeaders,
    CutMidStream,
    Delay,
    EmptyBody,
    ErrorEventMidStream,
    Fault,
    Fragmented,
    Hang,
    Hold,
    HtmlErrorPage,
    HugeAnswer,
    InvalidApiKey,
    MalformedJson,
    ModelNotFound,
    RateLimitHeaders,
    SlowDrip,
    Status,
    WrongContentType,
)
from .google import FakeGemini, FakeVertex
from .openai import FakeCompatible, FakeOpenAI
from .recorded import Part, Recorded
from .script import Script, Tokens, ToolCall
from .server import FakeProvider

PROVIDERS: dict[str, type[FakeProvider]] = {
    kind.name: kind
    for kind in (
        FakeOpenAI,
        FakeCompatible,
        FakeAzure,
        FakeAnthropic,
        FakeGemini,
        FakeVertex,
        FakeBedrock,
        FakeCohere,
    )
}

__all__ = [
    "PROVIDERS",
    "CloseUnannounced",
    "Compressed",
    "ContentPolicyViolation",
    "ContextWindowExceeded",
    "CutAfterHeaders",
    "CutBeforeHeaders",
    "CutMidStream",
    "Delay",
    "EmptyBody",
    "ErrorEventMidStream",
    "FakeAnthropic",
    "FakeAzure",
    "FakeBedrock",
    "FakeCohere",
    "FakeCompatible",
    "FakeGemini",
    "FakeOpenAI",
    "FakeProvider",
    "FakeVertex",
    "Fault",
    "Fragmented",
    "Hang",
    "Hold",
    "HtmlErrorPage",
    "HugeAnswer",
    "InvalidApiKey",
    "MalformedJson",
    "ModelNotFound",
    "Part",
    "RateLimitHeaders",
    "Recorded",
    "Script",
    "SlowDrip",
    "Status",
    "Tokens",
    "ToolCall",
    "WrongContentType",
]
