"""The first step: what was recorded, as rows for a job, and whether there is enough of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlops.collect import rows_of
from mlops.configuration import strategy as full_name
from mlops.errors import MlopsError
from mlops.sources.opening import calls
from mlops.sources.seen import joined
from trunkline.settings import Settings

DEFAULT_STRATEGY = "trunkline-scores"
RECORDS, JOBS = "records/", "jobs/"
ROWS = "rows.jsonl"
LAST = "published.json"
"""What the last bundle that was published was made of, in the training bucket."""
_LONGEST = 63
"""Letters of a job's name: `CreateTrainingJob`, in SageMaker's API reference."""


@dataclass(frozen=True, slots=True)
class Job:
    """What `CreateTrainingJob` is told. input, output, checkpoints: URLs of S3."""

    name: str
    input: str
    output: str
    checkpoints: str
    hyperparameters: Mapping[str, str]


def prepare(
    s3: Any,
    bucket: str,
    execution: str,
    asked: Mapping[str, Any],
    in_force: Settings | None,
    least: int,
) -> dict[str, Any]:
    """Puts the rows into the bucket; the answer of the step. Raises MlopsError, botocore's errors.

    execution: its name, of which the job's is made. asked: the execution's input: `strategy`,
    `hyperparameters`, `seed`, `sources`; each may be left out.
    """
    left: Counter[str] = Counter()
    found = joined(
        seen for source in _sources(s3, bucket, asked, in_force) for seen in calls(source)
    )
    rows = list(rows_of(found, left))
    job = _job(bucket, execution, asked, in_force)
    told = "".join(f", {count} {why}" for why, count in sorted(left.items()))
    new = len(rows) - _published(s3, bucket)
    reason = f"{len(rows)} rows, {new} of them new, of {len(found)} calls{told}"
    if new < least:
        return {"worth": False, "reason": f"{reason}; {least} new ones are needed", "job": {}}
    models = {row["model_name"] for row in rows}
    if len(models) < 2:
        return {"worth": False, "reason": f"{reason}; all by {', '.join(models)}", "job": {}}
    body = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    key = f"{JOBS}{job.name}/input/{ROWS}"
    s3.put_object(Bucket=bucket, Key=key, Body=body.encode(), Metadata={"rows": str(len(rows))})
    return {"worth": True, "reason": reason, "job": asdict(job)}


def _sources(
    s3: Any, bucket: str, asked: Mapping[str, Any], in_force: Settings | None
) -> Iterable[str]:
    """The database of the gateways, and what was put into the bucket; or those that are named."""
    if named := asked.get("sources"):
        return list(named)
    found = []
    database = in_force.general_settings.database_url if in_force else None
    if database and in_force and in_force.general_settings.routing_records:
        found.append(database)
    if s3.list_objects_v2(Bucket=bucket, Prefix=RECORDS, MaxKeys=1).get("KeyCount"):
        found.append(f"s3://{bucket}/{RECORDS}")
    return found


def _job(bucket: str, execution: str, asked: Mapping[str, Any], in_force: Settings | None) -> Job:
    name = _name(execution)
    place = f"s3://{bucket}/{JOBS}{name}"
    told = {
        "strategy": _strategy(asked, in_force),
        "seed": str(asked.get("seed", 0)),
        **{f"set.{name}": _text(value) for name, value in asked.get("hyperparameters", {}).items()},
    }
    return Job(name, f"{place}/input/", f"{place}/output", f"{place}/checkpoints", told)


def _strategy(asked: Mapping[str, Any], in_force: Settings | None) -> str:
    """That of the input, else that in force where it learns, else the default."""
    if named := asked.get("strategy"):
        return full_name(str(named))
    if in_force and in_force.router_settings.learned is not None:
        return full_name(in_force.router_settings.routing_strategy)
    return DEFAULT_STRATEGY


def _name(execution: str) -> str:
    """A name that no other execution's job has, of the letters that SageMaker takes."""
    plain = re.sub("[^A-Za-z0-9]+", "-", execution).strip("-")
    end = hashlib.sha256(execution.encode()).hexdigest()[:8]
    return f"trunkline-{plain}"[: _LONGEST - 9].rstrip("-") + f"-{end}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _published(s3: Any, bucket: str) -> int:
    """Rows that the last bundle was made of; 0 where none was published."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=LAST)
    except s3.exceptions.NoSuchKey:
        return 0
    try:
        return int(json.loads(answer["Body"].read())["rows"])
    except (ValueError, KeyError, TypeError):
        raise MlopsError(f"s3://{bucket}/{LAST} isn't what this function writes") from None
