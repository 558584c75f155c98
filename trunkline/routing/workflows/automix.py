"""AutoMix: a small model answers and checks its own answer; a larger one takes over if need be.

Madaan et al., "AutoMix: Automatically Mixing Language Models", arXiv:2310.12963, section 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from ...call import Answer
from ...errors import GatewayError
from ..query import earlier_of
from . import prompts
from .confidence import Rule, rule_of
from .reading import verdict
from .run import Asked, Run
from .wires import CONVERSATIONS

LARGEST_DRAFT = 16 * 1024 * 1024
"""Bytes of a stream that are held back until it is checked."""
TEMPERATURE = 1.0
"""So that checks differ. Every provider takes this one, which is OpenAI's and Anthropic's own."""


async def answer(run: Run) -> Answer:
    """The small model's answer, or the larger one's where the checks don't approve of it.

    The small one's answer is also given where a bound is met before the checks are through, and
    where the larger one fails.
    """
    loaded = run.loaded
    rule = rule_of(loaded.manifest.parameters, run.tools.args, loaded.labels)
    small = run.named(rule.small, strongest=False)
    large = run.named(rule.large)
    inner, drafted = await run.answer("draft", small)
    assert inner.part is not None
    if large.ranking[:1] == (inner.part.label,):
        return run.finished(inner, drafted)
    content = await _collected(drafted)
    if content is None:
        return run.finished(*await run.answer("answer", large))
    said = CONVERSATIONS[run.call.operation.name].said(content)
    if not await _escalated(run, rule, small, said):
        return run.finished(inner, drafted)
    try:
        return run.finished(*await run.answer("answer", large))
    except GatewayError:
        run.call.attempts.clear()
        return run.finished(inner, drafted)


async def _escalated(run: Run, rule: Rule, small: Asked, said: str) -> bool:
    """Whether the larger model shall answer: it does not where a bound is met before that."""
    if run.exhausted:
        return False
    if not said:
        return True  # a call of tools, for example, can't be checked
    verifier = run.role("verifier_model") if run.tools.args.get("verifier_model") else small
    prompt = prompts.verification(run.query, earlier_of(run.call, prompts.EARLIER), said)
    checks = [
        run.ask("verify", verifier, prompt, temperature=TEMPERATURE)
        for _ in range(min(rule.samples, run.calls_left))
    ]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(check) for check in checks]
    verdicts = [found for task in tasks if (found := verdict(task.result())) is not None]
    run.tell("checked", approving=sum(verdicts), checks=len(verdicts))
    if run.exhausted or not checks:
        return False
    return not verdicts or rule.escalated(sum(verdicts), len(verdicts))


async def _collected(answer: Answer) -> bytes | None:
    """All of an answer, which can still be given to the client after that; None where it broke off
    or is too large."""
    if answer.chunks is None:
        return answer.body
    held: list[bytes] = []
    size = 0
    try:
        async with aclosing(answer.chunks) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                held.append(chunk)
                size += len(chunk)
                if size > LARGEST_DRAFT:
                    return None
    except GatewayError:
        return None
    answer.chunks = _again(held)
    return b"".join(held)


async def _again(held: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in held:
        yield chunk
