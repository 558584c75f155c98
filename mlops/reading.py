"""Routing data as LLMRouter writes it: a row for each query and model, as JSON lines or Parquet.

Fields: `query`, `model_name`, `performance` in [0, 1]; and where they are known `task_name`,
`user_id`, `output_tokens` (or `token_num`, of query and answer together), `ground_truth`, `metric`,
`response`, and `embedding` (with `embedder_sha256`) in the place of a query that nobody may read.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import MlopsError, Problems
from .tokens import estimated

KEPT = ("ground_truth", "metric", "response")
"""Fields that are passed on as they are."""

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class Row:
    """How well one model answered one query.

    tokens: of its answer; None where nobody counted. embedding: in the place of a query that
    wasn't kept, made by the embedder with that SHA-256. others: what is passed on as it is.
    """

    query: str
    model: str
    performance: float
    task: str = ""
    user: str = ""
    tokens: float | None = None
    embedding: tuple[float, ...] = ()
    embedder_sha256: str = ""
    others: Mapping[str, Any] = field(default_factory=dict)


def read_rows(paths: Iterable[Path], models: Sequence[str] | None = None) -> list[Row]:
    """The rows of all files, in their order.

    models: the only ones that may be named; any where None.

    Raises MlopsError with the file, the line and the fault of every row that can't be used.
    """
    known = None if models is None else frozenset(models)
    problems, rows = Problems(), []
    for path in paths:
        count = len(rows)
        for place, found in _records(path, problems):
            row = _row(found, place, known, problems)
            if row is not None:
                rows.append(row)
        if len(rows) == count and not problems.count:
            problems.add(str(path), "no rows")
    problems.raise_any()
    return rows


def _records(path: Path, problems: Problems) -> Iterator[tuple[str, Any]]:
    """Every record of a file, with its place: `file:line`, or `file:row` for Parquet."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start == _PARQUET:
            yield from _parquet(path)
        else:
            yield from _json_lines(path, start.startswith(_GZIP), problems)
    except (OSError, EOFError, zlib.error) as error:
        raise MlopsError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _json_lines(path: Path, packed: bool, problems: Problems) -> Iterator[tuple[str, Any]]:
    with gzip.open(path) if packed else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            place = f"{path}:{number}"
            try:
                yield place, json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                problems.add(place, f"not UTF-8 at byte {error.start + 1} of the line")
            except (ValueError, RecursionError) as error:
                problems.add(place, f"not JSON: {error}")


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        from pyarrow import ArrowException  # noqa: PLC0415 - only where there is such a file
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415
    except ImportError:
        raise MlopsError(f"{path}: pyarrow is not installed, so Parquet can't be read") from None
    try:
        number = 0
        for batch in ParquetFile(path).iter_batches():
            for found in batch.to_pylist():
                number += 1
                # Columns are there for every row: null is how a row says that it has no such field.
                yield (
                    f"{path}:{number}",
                    {name: value for name, value in found.items() if value is not None},
                )
    except ArrowException as error:
        raise MlopsError(f"{path}: not Parquet: {error}") from None


def _row(found: Any, place: str, known: frozenset[str] | None, problems: Problems) -> Row | None:
    """The row that a record is; None, with the faults noted, where it can't be used."""
    if not isinstance(found, dict):
        problems.add(place, f"expected an object, not {_kind(found)}")
        return None
    record = {name: value for name, value in found.items() if value is not None}
    faults = list(_faults(record, known))
    for fault in faults:
        problems.add(place, fault)
    if faults:
        return None
    query = record.get("query", "")
    return Row(
        query=query,
        model=record["model_name"],
        performance=float(record["performance"]),
        task=record.get("task_name", ""),
        user=str(record.get("user_id", "")),
        tokens=_tokens(record, query),
        embedding=tuple(map(float, record.get("embedding", ()))),
        embedder_sha256=record.get("embedder_sha256", ""),
        others={name: record[name] for name in KEPT if name in record},
    )


def _faults(record: Mapping[str, Any], known: frozenset[str] | None) -> Iterator[str]:
    yield from _content_faults(record)
    for name in ("model_name", "performance"):
        if name not in record:
            yield f"{name} is missing"
    model = record.get("model_name")
    if model is not None and (not isinstance(model, str) or not model):
        yield f"model_name: expected a text, not {_kind(model)}"
    elif model is not None and known is not None and model not in known:
        yield f"model_name: {model!r} is none of the candidate models"
    score = record.get("performance")
    if score is not None and (fault := _share_fault(score)):
        yield f"performance: {fault}"
    for name in ("task_name", "embedder_sha256"):
        if not isinstance(record.get(name, ""), str):
            yield f"{name}: expected a text, not {_kind(record[name])}"
    if not isinstance(record.get("user_id", ""), str | int):
        yield f"user_id: expected a text, not {_kind(record['user_id'])}"
    for name in ("token_num", "output_tokens"):
        if not _is_count(record.get(name, 0)):
            yield f"{name}: expected a number of tokens, not {record[name]!r}"


def _content_faults(record: Mapping[str, Any]) -> Iterator[str]:
    query, embedding = record.get("query"), record.get("embedding")
    if query is None and embedding is None:
        yield "query is missing"
    if query is not None and not isinstance(query, str):
        yield f"query: expected a text, not {_kind(query)}"
    elif query is not None and not query.strip() and embedding is None:
        yield "query: empty"
    elif query is not None and not _is_text(query):
        yield "query: holds half of a surrogate pair, which is no text"
    if embedding is not None and not _is_vector(embedding):
        yield "embedding: expected a list of finite numbers"


def _share_fault(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"expected a number, not {_kind(value)}"
    if not math.isfinite(value):
        return f"{value} is not finite"
    return "" if 0 <= value <= 1 else f"{value} is not between 0 and 1"


def _tokens(record: Mapping[str, Any], query: str) -> float | None:
    """Tokens of the answer. Zero is what LLMRouter writes where a call failed: nobody counted."""
    if record.get("output_tokens"):
        return float(record["output_tokens"])
    total = record.get("token_num")
    return max(float(total) - estimated(query), 1.0) if total else None


def _is_count(value: Any) -> bool:
    number = not isinstance(value, bool) and isinstance(value, int | float)
    return number and math.isfinite(value) and value >= 0


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_vector(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
            for each in value
        )
    )


def _kind(value: Any) -> str:
    kinds = {str: "a text", bool: "a truth value", list: "a list", dict: "an object"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else "nothing")
