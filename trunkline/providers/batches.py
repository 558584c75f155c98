"""What batches tell of themselves: whether they have ended, and what was used in them.

https://platform.openai.com/docs/api-reference/batch. Of those that were created after September 7,
2025 the object tells the usage; of others, and of other providers', each line of the output does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from .. import json_text
from ..call import Deployment, Usage
from .target import location
from .usage import read_object

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
"""Statuses that don't change any more."""

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of a line of an output that is read; what is longer tells nothing."""

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}|-\d{4,8}|@[\w.-]+")
"""What stands after a model's name in the name of one of its versions."""

Batch = Mapping[str, Any]
"""A batch object, decoded."""


def place_of(deployment: Deployment) -> str:
    """A name for the server that has a deployment's batches: ids are unique there.

    The key isn't part of it, so that a batch is still found after the key has changed.
    """
    text = json.dumps([deployment.provider, location(deployment).base])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def batches_in(body: bytes) -> list[Batch]:
    """The batch objects of an answer: one, or those of a list; none where it holds none."""
    try:
        answer = json_text.loads(body)
    except ValueError:
        return []
    if not isinstance(answer, dict):
        return []
    held = answer.get("data") if answer.get("object") == "list" else [answer]
    return [
        each
        for each in (held if isinstance(held, list) else ())
        if isinstance(each, dict)
        and each.get("object") == "batch"
        and isinstance(each.get("id"), str)
    ]


def has_ended(batch: Batch) -> bool:
    """Whether what it took can't change any more.

    OpenAI may call a batch completed a moment before its output is there.
    """
    if batch.get("status") not in ENDED:
        return False
    return batch["status"] != "completed" or not _has_answers(batch) or bool(output_of(batch))


def output_of(batch: Batch) -> str:
    """The id of the file with the answers; empty where there is none."""
    output = batch.get("output_file_id")
    return output if isinstance(output, str) else ""


def told_by(batch: Batch) -> Usage | None:
    """What the object says was used, which is nothing where nothing was answered; None where it
    doesn't say."""
    usage = Usage()
    read_object("openai", batch, usage)
    if usage.total_tokens:
        return _plain(usage)
    if _has_answers(batch) or output_of(batch):
        return None
    return Usage(input_tokens=0, output_tokens=0)


def model_of(batch: Batch) -> str:
    """The model as its provider calls it; empty where the object doesn't say."""
    model = batch.get("model")
    return model if isinstance(model, str) else ""


def _has_answers(batch: Batch) -> bool:
    counts = batch.get("request_counts")
    return isinstance(counts, dict) and bool(counts.get("completed"))


def named(deployments: Iterable[Deployment], model: str) -> Deployment | None:
    """The deployment that a provider's name of a model, or of one of its versions, stands for."""
    best: Deployment | None = None
    longest = -1
    for each in deployments:
        for name in _names_of(each):
            known = model == name or (
                model.startswith(name) and _DATED.fullmatch(model, len(name)) is not None
            )
            if known and len(name) > longest:
                best, longest = each, len(name)
    return best


def _names_of(deployment: Deployment) -> list[str]:
    base = deployment.info.get("base_model")
    return [deployment.upstream_model, *([str(base).rpartition("/")[2]] if base else ())]


class Output:
    """What was used by the answers of an output file, line by line, by the models' names."""

    def __init__(self) -> None:
        self.used: dict[str, list[Usage]] = {}
        self._held = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> None:
        """Takes the next piece of the file."""
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            lines = (bytes(self._held) + whole).split(b"\n")
            self._held.clear()
            for line in lines[1:] if self._too_long else lines:
                self._read(line)
            self._too_long = False
        if len(self._held) + len(rest) > LONGEST_LINE:
            self._held.clear()
            self._too_long = True
        if not self._too_long:
            self._held += rest

    def end(self) -> None:
        """Takes what is left: a last line without its end."""
        if not self._too_long:
            self._read(bytes(self._held))
        self._held.clear()

    def _read(self, line: bytes) -> None:
        try:
            decoded = orjson.loads(line)
        except orjson.JSONDecodeError:
            return
        answer = _answer_of(decoded)
        if answer is None:
            return
        usage, model = Usage(), answer.get("model") or answer.get("modelVersion")
        read_object(_kind_of(answer), answer, usage)
        self.used.setdefault(model if isinstance(model, str) else "", []).append(_plain(usage))


def _plain(usage: Usage) -> Usage:
    """A usage without what a batch has no price by, and without the provider's own object."""
    usage.tier = usage.raw = None
    return usage


def _answer_of(line: Any) -> dict[str, Any] | None:
    """The answer that a line holds, as the provider writes it; None where the request failed."""
    if not isinstance(line, dict):
        return None
    response, result = line.get("response"), line.get("result")
    if isinstance(response, dict):
        status = response.get("status_code")
        if isinstance(status, int) and status >= 400:
            return None
        held = response.get("body", response)
    elif isinstance(result, dict):  # Anthropic's
        held = result.get("message")
    else:
        held = line.get("modelOutput")  # Bedrock's
    return held if isinstance(held, dict) else None


def _kind_of(answer: Mapping[str, Any]) -> str:
    """Which of `usage.py`'s readers reads an answer."""
    if "usageMetadata" in answer:
        return "google"
    if answer.get("type") == "message":
        return "anthropic"
    return "responses" if answer.get("object") == "response" else "openai"
