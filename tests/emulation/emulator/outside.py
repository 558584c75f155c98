"""What lies outside of the emulator: `make emulate` answers for it over HTTP.

`EMULATED_WORLD` is its address. A POST of a JSON object to `/<what>` is answered with one, or
with an error: {"error": name, "cause": text}.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any


class Failed(Exception):
    """error: the name of what went wrong. cause: more of it."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause


def tell(what: str, about: Any) -> Any:
    """What the world answers. Raises Failed."""
    request = urllib.request.Request(
        f"{os.environ['EMULATED_WORLD']}/{what}",
        json.dumps(about, default=str).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        said = json.load(refusal)
        raise Failed(said["error"], said["cause"]) from None


def install() -> None:
    """SageMaker's jobs, which the emulator's Step Functions do not know."""
    from ministack.services import stepfunctions

    def run(resource: str, asked: Any) -> Any:
        action = resource.partition("sagemaker:")[2].partition(".")[0]
        try:
            return tell(f"sagemaker/{action}", asked)
        except Failed as failure:
            raise stepfunctions._ExecutionError(failure.error, failure.cause) from None

    for action in ("createTrainingJob", "createProcessingJob"):
        stepfunctions._SERVICE_DISPATCH[f"arn:aws:states:::sagemaker:{action}"] = run
