"""What LiteLLM can't do and doesn't say: refused before it is asked.

It would answer a stream as if it were whole, or import its proxy in the middle of a call to look
for a conversation in a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..call import Call
from ..errors import ErrorKind, ProviderError
from . import failures

_NOT_STREAMED = frozenset({"aimage_generation", "aimage_edit", "atranscription", "aget_responses"})


def refusal(call: Call, named: Mapping[str, Any], provider: str) -> ProviderError | None:
    """The error to answer a call with instead of asking LiteLLM; None for all that it can do.

    named: the arguments for the operation's function. provider: LiteLLM's name for it.
    """
    function = call.operation.function
    if call.stream and function in _NOT_STREAMED:
        return _refused("stream", "its answer can't be streamed through LiteLLM")
    if function == "aspeech" and call.body.get("stream_format") == "sse":
        return _refused("stream_format", "its events can't be streamed through LiteLLM")
    if function == "aresponses" and call.body.get("previous_response_id"):
        responses = import_module("litellm.responses.main")
        if not responses.provider_stores_the_conversation(named["model"], provider, named):
            return _refused("previous_response_id", f"{provider} keeps no responses")
    return None


def _refused(param: str, reason: str) -> ProviderError:
    failure = failures.failure(ErrorKind.BAD_REQUEST, f"'{param}' is not supported here: {reason}.")
    failure.param, failure.code = param, "unsupported_parameter"
    return failure
