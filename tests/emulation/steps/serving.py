"""What users and administrators do with what was deployed."""

from __future__ import annotations

import json
from collections.abc import Callable

from .. import documents
from ..cast import Cast, model_of
from ..documents import COMMON, EMBEDDER, SMALL
from ..progress import until
from ..user import User

TASKS = 2
APART_SECONDS = 0.3


def tasks(cast: Cast) -> None:
    cast.service.start(TASKS)


def least_privilege(cast: Cast) -> None:
    s3, functions = cast.service.client("s3"), cast.service.client("lambda")
    bundles, training = cast.deployment.bundles, cast.deployment.training
    s3.get_object(Bucket=bundles, Key="active.json")
    attempts: dict[str, Callable[[], object]] = {
        "write the pointer": lambda: s3.put_object(Bucket=bundles, Key="active.json"),
        "upload a bundle": lambda: s3.put_object(Bucket=bundles, Key="incoming/a.tar"),
        "read what is trained on": lambda: s3.get_object(Bucket=training, Key="published.json"),
        "list functions": functions.list_functions,
    }
    allowed = [what for what, attempt in attempts.items() if not _denied(attempt)]
    assert not allowed, f"a task may {' and '.join(allowed)}"


def _denied(attempt: Callable[[], object]) -> bool:
    from botocore.exceptions import ClientError

    try:
        attempt()
    except ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"]
    return False


def readiness(cast: Cast) -> None:
    for user in cast.everywhere():
        user.ask("/health/readiness")


def make_key(cast: Cast) -> None:
    (cast.master,) = json.loads(cast.deployment.secret("MasterKey")).values()
    cast.key = cast.administrator.ask("/key/generate", {"max_budget": 1.0})["key"]


def chat_by_function(cast: Cast) -> None:
    answer = cast.deployment.chat_by_function(cast.key, SMALL)
    assert json.loads(answer["body"])["choices"]


def embeddings(cast: Cast) -> None:
    assert cast.user.ask("/v1/embeddings", {"model": EMBEDDER, "input": "a text"})["data"]


def chat_by_task(cast: Cast) -> str:
    return f"by the model {model_of(cast.user.chat(SMALL).headers)}"


def stream(cast: Cast) -> str:
    cast.provider.delay_between_chunks = APART_SECONDS
    try:
        pieces = cast.user.streamed(COMMON)
    finally:
        cast.provider.delay_between_chunks = 0
    lasted = pieces[-1][0] - pieces[0][0]
    assert b"[DONE]" in b"".join(piece for _, piece in pieces)
    # The provider takes longer than that over them; an answer that was gathered comes at once.
    assert lasted > 2 * APART_SECONDS, f"{len(pieces)} pieces within {lasted:.2f} s"
    return f"{len(pieces)} over {lasted:.1f} s"


def spend(cast: Cast) -> str:
    def spent() -> float:
        return float(cast.administrator.ask("/key/info", key=cast.key)["info"]["spend"])

    until(spent, "the key has spent something")
    return f"${spent():.6f}"


def change_key(cast: Cast) -> None:
    cast.provider.keys = {documents.CHANGED_KEY}
    cast.give_key(documents.CHANGED_KEY)
    until(lambda: all(map(_answered, cast.everywhere())), "the changed key is used everywhere")
    for task in cast.service.running:
        log = task.log()
        assert documents.CHANGED_KEY not in log, "the key stands in a log"
        assert "[redacted]" not in log, f"words that are no secrets are hidden\n{log}"


def _answered(user: User) -> bool:
    body = {"model": EMBEDDER, "input": "a text"}
    return user.send("/v1/embeddings", body).status_code == 200
