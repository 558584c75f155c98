"""Serving needs nothing that training needs, and reads nothing that could run."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import knn_files, mock, routed, write

ROOT = Path(__file__).parents[2]
TRAINING = "torch sklearn scikit-learn transformers pandas llmrouter llmrouter-lib peft datasets"
RUNS_CODE = frozenset({"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"})

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from trunkline.app import Application
from trunkline.settings import load

settings = load(Path(sys.argv[1]), {{}})

async def serve(app):
    sent = []
    body = json.dumps({{"model": {model!r}, "messages": [{{"role": "user", "content": "Hi"}}]}})
    async def receive():
        return {{"type": "http.request", "body": body.encode(), "more_body": False}}
    async def send(message):
        sent.append(message)
    scope = {{"type": "http", "method": "POST", "path": "/v1/chat/completions", "raw_path": None,
             "query_string": b"", "headers": [(b"content-type", b"application/json")]}}
    await app(scope, receive, send)
    return sent[0]["status"]

status = asyncio.run(serve(Application(settings)))
print(json.dumps([status, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def _served(folder: Path, config: dict[str, object], model: str) -> tuple[int, set[str]]:
    """The status of a call, and the packages that the process has loaded when it is answered."""
    path = folder / "c.yaml"
    path.write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(model=model), str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        timeout=100,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    return status, set(modules)


@pytest.mark.criterion("R2.3")
def test_what_is_locked_for_serving_holds_nothing_of_training() -> None:
    locked = (ROOT / "requirements" / "serve.txt").read_text("utf-8")
    names = set(re.findall(r"^([a-z0-9._-]+)==", locked, re.MULTILINE))
    assert {"numpy", "safetensors", "tokenizers"} <= names
    assert names.isdisjoint(TRAINING.split())


def test_a_routed_call_loads_nothing_of_training(tmp_path: Path) -> None:
    write(knn_files({"Hi": "one", "Ho": "two"}), tmp_path / "bundle")
    models = [mock("one", "1"), mock("two", "2")]
    config = routed(models, "llmrouter-knn", model_path="bundle")
    status, loaded = _served(tmp_path, config, "auto")
    assert status == 200
    assert "numpy" in loaded
    assert loaded.isdisjoint({*TRAINING.split(), "litellm", "onnxruntime", "huggingface_hub"})


def test_a_call_without_a_learned_strategy_loads_nothing_of_routing(tmp_path: Path) -> None:
    status, loaded = _served(tmp_path, {"model_list": [mock("one", "1")]}, "one")
    assert status == 200
    unneeded = {"numpy", "tokenizers", "safetensors", "litellm", "sqlite3"}
    assert loaded.isdisjoint(unneeded | {"sqlalchemy", "psycopg", "alembic", "aiosqlite", "redis"})


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_the_gateway_unpickles_nothing() -> None:
    for path in (ROOT / "trunkline").rglob("*.py"):
        text = path.read_text("utf-8")
        found = {name.partition(".")[0] for name in _imported(path)}
        assert found.isdisjoint(RUNS_CODE), path
        assert "allow_pickle=True" not in text, path
        assert not re.search(r"\bnp\.load\(", text), path
