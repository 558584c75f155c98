"""What a call can take at most, told before it is made: tokens, and money.

Tokens of the input are bounded by the size of its texts: hardly any that people write has fewer
than three bytes a token (see `routing/prompt_size.py`). The output is bounded by what the client
says. Where it says nothing, money is reserved for the most that the model can say, since a budget
is never overspent; and tokens for what the model has said lately, since a limit of tokens a minute
would let few calls through at once otherwise, and is corrected in a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..call import Call, Deployment
from ..dataclass import dataclass
from ..ledger.asked import PLAIN, asked_of
from ..ledger.prices import Prices
from ..routing.prompt_size import text_bytes

LEAST_BYTES = 3
"""Bytes of a token, at least."""
AROUND, A_TURN = 8, 4
"""Tokens that providers add around a conversation, and around each of its turns."""
MEDIUM_TOKENS = 2_000
"""Tokens that a provider counts for an image, at most, or for what else isn't text."""

UNKNOWN_OUTPUT = 4096
"""Tokens of the longest answer of a model of which that isn't known."""

UNKNOWN_SAID, LEAST_SAID = 512.0, 64.0
MARGIN = 2.0
WANES = 0.99
"""By which the longest answer of late is shorter after each that is."""
MOST_GROUPS = 4096

_MEDIA = (
    b'"image_url"',
    b'"input_image"',
    b'"image"',
    b'"inline',
    b'"input_audio"',
    b'"file_data"',
)

_TALKED = frozenset({"tools", "functions", "system", "instructions", "response_format"})
"""Fields beside the messages that a model reads."""

_SPOKEN: Mapping[str, tuple[str, ...]] = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "completions": ("max_tokens",),
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "generate_content": (),
    "stream_generate_content": (),
    "realtime": ("max_output_tokens",),
    "pass_through": ("max_completion_tokens", "max_tokens", "max_output_tokens"),
}
"""Operations that answer in tokens, with where the client says how many at most."""

_MOST = 10**9
"""More than any model says or anybody is charged for: what is above is cut to it."""


@dataclass(slots=True)
class Estimate:
    """At most what a call takes: nano-dollars, and tokens as far as that can be told.

    stated: whether the client bounds its output, or the operation has none.
    """

    tokens: int
    cost: int
    stated: bool


NOTHING = Estimate(tokens=0, cost=0, stated=True)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of some candidates together. most_input: 0 where one has no limit."""

    prices: tuple[Prices, ...]
    most_input: int
    longest: int


class Estimator:
    """prices_of, facts_of: of a deployment. output: tokens that a call is taken to answer at most
    where it doesn't say; None for what its model can say.
    """

    def __init__(
        self,
        prices_of: Callable[[Deployment], Prices | None],
        facts_of: Callable[[Deployment], Mapping[str, Any]],
        output: int | None,
    ) -> None:
        self._prices_of = prices_of
        self._facts_of = facts_of
        self._output = output
        self._known = lru_cache(maxsize=MOST_GROUPS)(self._learn_of)
        self._said: dict[str, float] = {}

    def estimate(self, call: Call, candidates: Sequence[Deployment]) -> Estimate:
        """For whichever candidate takes the call."""
        known = self._known(candidates if type(candidates) is tuple else tuple(candidates))
        given = _input(call)
        if known.most_input:
            given = min(given, known.most_input)
        stated = _stated(call)
        spoken = known.longest if stated is None else stated
        asked = asked_of(call) or PLAIN
        cost = 0
        for prices in known.prices:
            cost = max(cost, prices.bound(given, spoken, asked))
        if stated is None:
            lately = self._said.get(call.group, UNKNOWN_SAID)
            spoken = min(spoken, int(MARGIN * max(lately, LEAST_SAID)))
        return Estimate(given + spoken, cost, stated is not None)

    def learn(self, call: Call) -> None:
        """How much a model said: the most of late, which wanes."""
        said = call.usage.output_tokens
        if said is not None:
            if len(self._said) > MOST_GROUPS:
                self._said.clear()
            self._said[call.group] = max(said, WANES * self._said.get(call.group, 0))

    def _learn_of(self, candidates: tuple[Deployment, ...]) -> _Known:
        facts = [self._facts_of(each) for each in candidates]
        inputs = [_whole(each.get("max_input_tokens")) or 0 for each in facts]
        outputs = [_whole(each.get("max_output_tokens")) or UNKNOWN_OUTPUT for each in facts]
        longest = max(outputs, default=0)
        prices = (self._prices_of(each) for each in candidates)
        return _Known(
            prices=tuple(each for each in prices if each is not None),
            most_input=max(inputs) if inputs and all(inputs) else 0,
            longest=longest if self._output is None else min(longest, self._output),
        )


def _input(call: Call) -> int:
    body = call.body
    parts = body.get("messages") or body.get("contents")
    turns = len(parts) if isinstance(parts, list) else 1
    size = _plain_bytes(body, parts)
    if size is None:
        size = text_bytes(call)
    tokens = size // LEAST_BYTES + AROUND + turns * A_TURN + call.context
    raw = call.raw
    if b'"type"' in raw or b'"inline' in raw:
        tokens += MEDIUM_TOKENS * sum(raw.count(mark) for mark in _MEDIA)
    return tokens


def _plain_bytes(body: Mapping[str, Any], messages: Any) -> int | None:
    """Bytes of a conversation that is nothing but texts, as most are; None for any other."""
    if type(messages) is not list or "messages" not in body or not _TALKED.isdisjoint(body):
        return None
    size = 0
    for message in messages:
        text = message.get("content")
        if type(text) is not str or len(message) > 2:
            return None
        size += len(text) if text.isascii() else len(text.encode(errors="replace"))
    return size


def _stated(call: Call) -> int | None:
    """Tokens that the answer may have by the request; None where it doesn't say."""
    names = _SPOKEN.get(call.operation.name)
    # What is passed on without an object that could be read asks no model.
    if names is None or (call.operation.name == "pass_through" and not call.body):
        return 0
    body, times = call.body, "n"
    if not names or "generationConfig" in body:
        config = body.get("generationConfig") or body.get("generation_config")
        body = config if isinstance(config, dict) else {}
        names, times = ("maxOutputTokens", "max_output_tokens"), "candidateCount"
    stated = -1
    for name in names:
        if name in body and (most := _whole(body[name])) is not None and most > stated:
            stated = most
    return None if stated < 0 else min(_MOST, stated * max(1, _whole(body.get(times)) or 1))


def _whole(value: Any) -> int | None:
    """A count that is one; else None."""
    return value if type(value) is int and 0 <= value <= _MOST else None
