"""Batches and fine-tuning jobs: accepted when they are created, done when they are next read."""

from __future__ import annotations

import time
from typing import Any

import orjson

from ..reply import Exchange, Refused, Reply, ok
from ..script import Script
from . import chat, completions
from .content import missing
from .files import FILES, contents, store_file
from .objects import Collection, Object, page

_COUNTS = {"total": 0, "completed": 0, "failed": 0}
_STAMPS = (
    "in_progress_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
)


def _batch(x: Exchange, given: Object) -> Object:
    for name in ("input_file_id", "endpoint", "completion_window"):
        if name not in given:
            raise Refused(missing(x, name))
    FILES.named(x, given["input_file_id"])
    return {
        "endpoint": given["endpoint"],
        "model": None,
        "usage": None,
        "errors": None,
        "input_file_id": given["input_file_id"],
        "completion_window": given["completion_window"],
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "expires_at": int(time.time()) + 86_400,
        "request_counts": dict(_COUNTS),
        "metadata": given.get("metadata"),
        **dict.fromkeys(_STAMPS),
    }


def _finish_batch(x: Exchange, batch: Object) -> None:
    """End it as the provider says; if well, answer every line of the input file, as the endpoint
    itself would."""
    provider: Any = x.provider
    if batch["status"] == "cancelling":
        batch |= {"status": "cancelled", "cancelled_at": int(time.time())}
    if batch["status"] not in ("validating", "in_progress"):
        return
    if provider.batch_status != "completed":
        batch["status"] = provider.batch_status
        return
    lines = contents(x)[batch["input_file_id"]]["body"].splitlines()
    answers = [_answered(x, batch["endpoint"], orjson.loads(line)) for line in lines if line]
    body = b"".join(orjson.dumps(answer) + b"\n" for answer in answers)
    output = store_file(x, body, f"{batch['id']}_output.jsonl", "batch_output")
    now = int(time.time())
    batch |= {
        "status": "completed",
        "model": next((answer["response"]["body"]["model"] for answer in answers), None),
        "usage": _batch_usage(answers) if provider.batch_usage else None,
        "output_file_id": output["id"],
        "request_counts": {"total": len(answers), "completed": len(answers), "failed": 0},
        "in_progress_at": now,
        "finalizing_at": now,
        "completed_at": now,
    }


def _batch_usage(answers: list[Object]) -> Object:
    """What all answers used, under the names of the Responses API."""

    def summed(*names: str) -> int:
        total = 0
        for answer in answers:
            held = answer["response"]["body"]["usage"]
            for name in names:
                held = held.get(name) or {}
            total += held or 0
        return total

    return {
        "input_tokens": summed("prompt_tokens"),
        "input_tokens_details": {"cached_tokens": summed("prompt_tokens_details", "cached_tokens")},
        "output_tokens": summed("completion_tokens"),
        "output_tokens_details": {
            "reasoning_tokens": summed("completion_tokens_details", "reasoning_tokens")
        },
        "total_tokens": summed("total_tokens"),
    }


def _answered(x: Exchange, endpoint: str, line: Object) -> Object:
    provider: Any = x.provider
    model = line["body"].get("model", "")
    x.script = Script(usage=provider.batch_tokens, model=model + provider.batch_version)
    asked = line["body"]
    if endpoint.endswith("/embeddings"):
        body = completions.embedded(x, asked)
    else:
        body = chat.completed(x, asked)
    response = {"status_code": 200, "request_id": x.provider.new_id("req_", 32), "body": body}
    return {
        "id": x.provider.new_id("batch_req_"),
        "custom_id": line["custom_id"],
        "response": response,
        "error": None,
    }


def _cancel_batch(x: Exchange) -> Reply:
    batch = BATCHES.bucket(x).get(x.path["batch"]) or BATCHES.find(x)
    batch |= {"status": "cancelling", "cancelling_at": int(time.time())}
    return ok(batch)


BATCHES = Collection("/batches", "batch_", "batch", "batch", _batch, refresh=_finish_batch)


# Fine-tuning


def _job(x: Exchange, given: Object) -> Object:
    for name in ("model", "training_file"):
        if name not in given:
            raise Refused(missing(x, name))
    return {
        "model": given["model"],
        "training_file": given["training_file"],
        "validation_file": given.get("validation_file"),
        "status": "validating_files",
        "error": None,
        "fine_tuned_model": None,
        "finished_at": None,
        "estimated_finish": None,
        "hyperparameters": {
            "n_epochs": "auto",
            "batch_size": "auto",
            "learning_rate_multiplier": "auto",
            **(given.get("hyperparameters") or {}),
        },
        "organization_id": "org-fake",
        "result_files": [],
        "trained_tokens": None,
        "seed": given.get("seed", 1),
        "integrations": [],
        "metadata": given.get("metadata"),
        "user_provided_suffix": given.get("suffix"),
    }


def _finish_job(x: Exchange, job: Object) -> None:
    if job["status"] != "validating_files":
        return
    suffix = job["user_provided_suffix"] or ""
    job |= {
        "status": "succeeded",
        "fine_tuned_model": f"ft:{job['model']}:org-fake:{suffix}:{job['id'][-8:]}",
        "finished_at": int(time.time()),
        "trained_tokens": 100,
    }


JOBS = Collection(
    "/fine_tuning/jobs", "ftjob-", "fine_tuning.job", "job", _job, refresh=_finish_job
)


def _job_becomes(status: str) -> object:
    def act(x: Exchange) -> Reply:
        job = JOBS.bucket(x).get(x.path["job"]) or JOBS.find(x)
        job["status"] = status
        return ok(job)

    return act


def _job_events(x: Exchange) -> Reply:
    job = JOBS.find(x)
    event = {
        "id": "ftevent-" + job["id"][6:],
        "object": "fine_tuning.job.event",
        "created_at": job["created_at"],
        "level": "info",
        "message": "Created fine-tuning job",
        "data": {},
        "type": "message",
    }
    return ok(page(x, [event]))


def _job_checkpoints(x: Exchange) -> Reply:
    JOBS.find(x)
    return ok(page(x, []))


ROUTES = [
    *BATCHES.routes("create", "list", "get"),
    ("POST", "/batches/{batch}/cancel", _cancel_batch),
    *JOBS.routes("create", "list", "get"),
    ("POST", "/fine_tuning/jobs/{job}/cancel", _job_becomes("cancelled")),
    ("POST", "/fine_tuning/jobs/{job}/pause", _job_becomes("paused")),
    ("POST", "/fine_tuning/jobs/{job}/resume", _job_becomes("queued")),
    ("GET", "/fine_tuning/jobs/{job}/events", _job_events),
    ("GET", "/fine_tuning/jobs/{job}/checkpoints", _job_checkpoints),
]
