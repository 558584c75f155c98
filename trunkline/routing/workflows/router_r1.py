"""Router-R1: a reasoning model asks others in rounds until it knows enough, and then answers.

Zhang, Feng, You, "Router-R1: Teaching LLMs Multi-Round Routing and Aggregation via Reinforcement
Learning", arXiv:2506.09033, section 3.
"""

from __future__ import annotations

from ...call import Answer
from ..query import earlier_of, is_asked
from . import prompts
from .reading import Question, move
from .run import Run

LONGEST_DRAFT = 2_000
"""Characters; a longer one is an answer in itself, which the model doesn't need to be told."""


async def answer(run: Run) -> Answer:
    """The reasoning model's answer to the client's request, with notes of what others said."""
    reasoner = run.role("reasoning_model")
    found: list[tuple[str, str]] = []
    draft = ""
    if is_asked(run.call):
        draft = await _reason(run, found)
    note = prompts.notes(found, draft) if found else ""
    return run.finished(*await run.answer("answer", reasoner, note))


async def _reason(run: Run, found: list[tuple[str, str]]) -> str:
    """Fills `found` with questions and answers; the model's own short answer, if it came to one."""
    reasoner, earlier = run.role("reasoning_model"), earlier_of(run.call, prompts.EARLIER)
    told: list[str] = []
    rounds = run.tools.bounds.rounds
    for left in range(rounds, 0, -1):
        if run.calls_left < 2:
            return ""
        prompt = prompts.reasoning(run.query, earlier, run.described, told, left)
        said = await run.ask("reason", reasoner, prompt)
        if not said:
            return ""
        step = move(said, run.labels)
        if not isinstance(step, Question):
            return step.draft if len(step.draft) <= LONGEST_DRAFT else ""
        told.append(await _asked(run, step, found))
    return ""


async def _asked(run: Run, step: Question, found: list[tuple[str, str]]) -> str:
    """What the model learns from its question."""
    if not step.label:
        return "No model was asked: write the name of one of the models, a colon, and the question."
    if not step.text:
        return "No model was asked: there was no question."
    reply = await run.ask("search", run.named(step.label), step.text)
    if not reply:
        return f"{step.label} gave no answer."
    found.append((step.text, reply))
    return f"{step.label} was asked: {step.text}\n{prompts.cut(reply)}"
