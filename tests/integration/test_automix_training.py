"""AutoMix trained by the command line from measured confidences, and served."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.fakes import FakeOpenAI
from tests.support.bundles import routed
from tests.support.gateway import Gateways
from tests.support.mlops import Mlops, candidates, done, rows, write_rows
from tests.support.providers import Providers
from tests.support.workflows import LARGE, SMALL, is_check, openai_entry
from trunkline.routing.bundles.reading import read_bundle

COUNT = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`rows.jsonl`, `llm.json`, and `verified.jsonl`, where the small model doubts proofs."""
    folder = tmp_path_factory.mktemp("automix")
    made = rows(COUNT)
    write_rows(folder / "rows.jsonl", made)
    candidates(folder / "llm.json")
    queries = dict.fromkeys((row["query"], row["task_name"] == "proof") for row in made)
    write_rows(
        folder / "verified.jsonl",
        ({"query": query, "confidence": 0.25 if hard else 1.0} for query, hard in queries),
    )
    return folder


def train(mlops: Mlops, data: Path, output: Path, *options: str):
    return mlops("train", "--strategy", "automix", "--data", data / "rows.jsonl",
                 "--llm-data", data / "llm.json", "--output", output, *options)  # fmt: skip


@pytest.mark.criterion("R5.2", "R5.3", "R2.1")
def test_what_llmrouter_finds_decides_when_the_gateway_goes_on(
    mlops: Mlops,
    data: Path,
    gateway: Gateways,
    fakes: Providers,
    tmp_path: Path,
):
    path = tmp_path / "automix.tar"
    done(train(mlops, data, path, "--set", f"verified={data / 'verified.jsonl'}"))
    manifest = read_bundle(path).manifest
    assert (manifest.parameters["small"], manifest.parameters["large"]) == (SMALL, LARGE)
    escalates = manifest.parameters["escalates"]
    # Nothing was seen of no check and of half of them approving: the nearest that was seen decides.
    assert escalates == [True, True, True, False, False]
    assert "llmrouter-lib" in manifest.libraries

    fake = fakes(FakeOpenAI)
    models = [openai_entry(fake, name) for name in (SMALL, LARGE)]
    server = gateway(routed(models, "llmrouter-automix", model_path=str(path)))
    for approving in (1, 4):
        fake.reset()
        for number in range(4):
            word = "correct" if number < approving else "incorrect"
            fake.answer(f"Verdict: {word}", when=is_check)
        body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}
        answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
        model = LARGE if approving == 1 else SMALL
        assert answer.headers["x-trunkline-model"] == f"openai/{model}"
        assert answer.headers["x-trunkline-bundle"] == manifest.version


@pytest.mark.criterion("R5.2")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "verified must name a file"),
        (("--set", "verified=nowhere.jsonl"), "nowhere.jsonl: No such file"),
        (("--set", "verified=wrong.jsonl"), "wrong.jsonl:2: expected a text, and a confidence"),
        (("--set", "verified=few.jsonl"), "only 1 queries have a confidence"),
        (("--set", "verified=few.jsonl", "--set", "small=nobody"), "no model 'nobody'"),
        (("--set", "verified=few.jsonl", "--set", "routing_method=Guess"), "routing_method must"),
    ],
)
def test_what_can_t_be_trained_on_is_told(mlops, data, tmp_path, options, told):
    query = rows(1)[0]["query"]
    write_rows(tmp_path / "few.jsonl", [{"query": query, "confidence": 1}])
    write_rows(
        tmp_path / "wrong.jsonl",
        [{"query": query, "confidence": 1}, {"query": query, "confidence": 2}],
    )
    options = [each.replace("verified=", f"verified={tmp_path}/") for each in options]
    refused = train(mlops, data, tmp_path / "automix.tar", *options)
    assert refused.returncode == 2
    assert told in refused.stderr
