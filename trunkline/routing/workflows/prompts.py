"""What models are told on the way to an answer. The words are ours.

AutoMix verifies few-shot (Madaan et al., arXiv:2310.12963, section 3.1); the tags of the rounds are
Router-R1's (arXiv:2506.09033, section 3), so that models trained with them can be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LONGEST_NOTE = 20_000
"""Characters of one model's answer that another is told."""
EARLIER = 6
"""Turns of the conversation before the question that are told."""

_VERIFY = """\
You check answers. Given a question and an answer, think about whether the answer is correct and \
complete, in a few sentences. Then end with one line that is either "Verdict: correct" or \
"Verdict: incorrect".

Question: In which year did people first land on the Moon?
Answer: 1969
Check: Apollo 11 landed in July 1969, and no crew had landed before it.
Verdict: correct

Question: How many minutes do three hours and a quarter have?
Answer: 190
Check: Three hours have 180 minutes and a quarter of an hour has 15, which makes 195.
Verdict: incorrect

Question: Which gas do plants take in for photosynthesis?
Answer: Oxygen
Check: Plants take in carbon dioxide and give off oxygen; the answer names what they give off.
Verdict: incorrect

Question: What does len("abc") return in Python?
Answer: It returns 3.
Check: The text has three characters, and len counts them.
Verdict: correct
{earlier}
Question: {question}
Answer: {answer}
Check:"""

_SPLIT = """\
Decide whether the question below is easier to answer in parts that don't depend on each other. If \
so, write each part as a question that can be understood without the others and without the \
conversation, {form}, at most {most} of them. If not, write the whole question as the only part. \
Write nothing else.
{models}{earlier}
Question: {question}"""

_PLAIN_PART = "as <part>question</part>"
_NAMED_PART = "as <part>NAME: question</part> with the name of the model that suits it best"

_REASON = """\
Find out what is needed to answer the question below. Think first, inside <think> and </think>. \
Where you lack knowledge, ask one of the models below by writing <search>NAME: question</search> \
with its name exactly as it stands there, and stop; the model sees only this question, and what it \
answers is given to you. You may ask {left} more times. When you know enough, write a short answer \
as <answer>answer</answer>.
{models}{earlier}
Question: {question}
{found}"""

_NOTES = """\
Notes from an assistant that looked into parts of this request. They may be wrong: use what helps, \
and answer the request itself without mentioning the notes.

{notes}"""

Described = Mapping[str, str]
"""Models by label, with what they are good at."""


def verification(question: str, earlier: Sequence[tuple[str, str]], answer: str) -> str:
    """Asks whether an answer is correct. earlier: who said what before the question."""
    return _VERIFY.format(question=cut(question), earlier=_told(earlier), answer=cut(answer))


def split(
    question: str, earlier: Sequence[tuple[str, str]], most: int, models: Described | None = None
) -> str:
    """Asks for a question's parts. models: who may answer them, to be named with each."""
    return _SPLIT.format(
        form=_PLAIN_PART if models is None else _NAMED_PART,
        most=most,
        models="" if models is None else _listed(models),
        earlier=_told(earlier),
        question=cut(question),
    )


def reasoning(
    question: str,
    earlier: Sequence[tuple[str, str]],
    models: Described,
    found: Sequence[str],
    left: int,
) -> str:
    """Asks for the next step towards an answer. found: what earlier steps came to."""
    return _REASON.format(
        left=left,
        models=_listed(models),
        earlier=_told(earlier),
        question=cut(question),
        found="".join(f"\n<information>\n{each}\n</information>\n" for each in found),
    )


def notes(answers: Sequence[tuple[str, str]], draft: str = "") -> str:
    """Tells what was found out: questions with their answers, and a short answer to the whole."""
    told = [f"Question: {cut(question)}\nAnswer: {cut(answer)}" for question, answer in answers]
    if draft:
        told.append(f"Short answer to the whole: {cut(draft)}")
    return _NOTES.format(notes="\n\n".join(told))


def cut(text: str) -> str:
    return text if len(text) <= LONGEST_NOTE else text[:LONGEST_NOTE] + " …"


def _listed(models: Described) -> str:
    lines = [f"- {name}: {about}" if about else f"- {name}" for name, about in models.items()]
    return "\nModels:\n" + "\n".join(lines) + "\n"


def _told(earlier: Sequence[tuple[str, str]]) -> str:
    if not earlier:
        return ""
    return "\nThe conversation before it:\n" + "".join(
        f"{who}: {cut(text)}\n" for who, text in earlier
    )
