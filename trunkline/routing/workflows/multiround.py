"""Splits a question, lets models answer the parts at once, and answers with their notes."""

from __future__ import annotations

import asyncio

from ...call import Answer
from ..query import earlier_of, is_asked
from . import prompts
from .reading import addressed, parts
from .run import Asked, Run

KNN = "llmrouter-knn-multiround"


async def answer(run: Run) -> Answer:
    """The answer of the reasoning model, with notes of what others said to the parts.

    A question that isn't split goes to its model as it is.
    """
    if not is_asked(run.call):
        return run.finished(*await run.answer("answer", await _model(run, run.query)))
    split = await _split(run)
    if len(split) < 2:
        asked = split[0][1] if split else await _model(run, run.query)
        return run.finished(*await run.answer("answer", asked))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run.ask("part", asked, text)) for text, asked in split]
    texts = [text for text, _ in split]
    found = [
        (text, said) for text, task in zip(texts, tasks, strict=True) if (said := task.result())
    ]
    if not found:
        return run.finished(*await run.answer("answer", await _model(run, run.query)))
    reasoner = run.role("reasoning_model")
    return run.finished(*await run.answer("answer", reasoner, prompts.notes(found)))


async def _split(run: Run) -> list[tuple[str, Asked]]:
    """The parts of the question, each with who is asked; none where it can't be split."""
    most = min(run.tools.bounds.parts, run.calls_left - 1)
    if most < 2:
        return []
    models = None if run.loaded.strategy == KNN else run.described
    earlier = earlier_of(run.call, prompts.EARLIER)
    prompt = prompts.split(run.query, earlier, most, models)
    found = parts(await run.ask("split", run.role("reasoning_model"), prompt), most)
    if models is None:
        texts = found if len(found) > 1 else [run.query]
        return [(text, await _model(run, text)) for text in texts]
    questions = [addressed(part, run.labels) for part in found]
    return [(each.text, run.named(each.label)) for each in questions if each.text]


async def _model(run: Run, text: str) -> Asked:
    return await run.routed(text)
