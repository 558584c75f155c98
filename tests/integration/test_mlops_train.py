"""Training by the command line: what it writes, and that a running gateway takes it up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.bundles import mock, routed
from tests.support.gateway import Gateway, Gateways, trunkline
from tests.support.mlops import CANDIDATES, Mlops, candidates, done, rows, write_rows
from trunkline.routing.bundles.reading import read_bundle
from trunkline.settings.strategies import LEARNED

MODELS = [mock("small", "I am small"), mock("large", "I am large")]
HARD = "Prove rigorously theorem 77 about the topology of owls, with every lemma"
EASY = "What is 12 plus 13 owls?"


@pytest.fixture(scope="module")
def data(mlops: Mlops, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `rows.jsonl`, `llm.json` and what `prepare` makes of them, `prepared`."""
    folder = tmp_path_factory.mktemp("data")
    written = write_rows(folder / "rows.jsonl", rows(200))
    llm = candidates(folder / "llm.json")
    done(mlops("prepare", written, "--llm-data", llm, "--output", folder / "prepared"))
    return folder


def ask(server: Gateway, text: str) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def said(server: Gateway, text: str) -> str:
    return str(ask(server, text).json()["choices"][0]["message"]["content"])


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


@pytest.mark.timeout(600)
@pytest.mark.criterion("R5.2", "R5.3", "R5.5")
def test_a_configuration_trains_with_llmrouter_what_a_gateway_serves(
    mlops: Mlops, data: Path, gateway: Gateways, tmp_path: Path
) -> None:
    (tmp_path / "train.yaml").write_text(
        f"strategy: knnrouter\ndata: {{train: {data / 'prepared'}}}\n"
        "hyperparameters: {n_neighbors: 5}\noutput: bundles/router.tar\n"
    )

    done(mlops("train", "--config", tmp_path / "train.yaml", "--set", "n_neighbors=3"))

    written = tmp_path / "bundles" / "router.tar"
    manifest = read_bundle(written).manifest
    assert manifest.strategy == "llmrouter-knn"
    assert manifest.parameters["n_neighbors"] == 3
    assert "llmrouter-lib" in manifest.libraries
    assert manifest.evaluation["router"]["quality"]["value"] > 0.9
    server = gateway(routed(MODELS, "llmrouter-knn", model_path=str(written)))
    assert ask(server, HARD).headers["x-trunkline-bundle"] == manifest.version
    assert said(server, HARD) == "I am large"


@pytest.mark.criterion("R5.5", "R3.2")
@pytest.mark.parametrize("output", ["router.tar", "router"])
def test_a_gateway_that_watches_the_output_takes_up_each_training(
    mlops: Mlops, data: Path, gateway: Gateways, tmp_path: Path, output: str
) -> None:
    llm = tmp_path / "llm.json"

    def train(**sizes: str) -> None:
        described = {name: CANDIDATES[name] | {"size": size} for name, size in sizes.items()}
        llm.write_text(json.dumps(described), "utf-8")
        done(mlops("train", "--strategy", "largest", "--data", data / "rows.jsonl",
                   "--llm-data", llm, "--output", tmp_path / output))  # fmt: skip

    train(small="7B", large="70B")
    server = gateway(
        routed(
            MODELS,
            "llmrouter-largest",
            model_path=str(tmp_path / output),
            hot_reload=True,
            reload_interval=0.1,
        )
    )
    assert said(server, EASY) == "I am large"

    train(small="700B", large="70B")

    eventually(lambda: said(server, EASY) == "I am small")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    (status,) = [
        each
        for each in httpx.get(f"{server.url}/hot-reload/status").json()["watched"]
        if each["name"] == "bundle"
    ]
    assert not status["last_error"]


@pytest.mark.criterion("R5.5")
def test_the_bundle_is_signed_with_the_key_that_is_given(
    mlops: Mlops, data: Path, gateway: Gateways, tmp_path: Path
) -> None:
    for name in ("mine", "other"):
        assert trunkline("bundle", "keygen", name, folder=tmp_path).returncode == 0
    arguments = ("train", "--strategy", "smallest", "--data", data / "prepared", "--output")

    done(mlops(*arguments, tmp_path / "file.tar", "--signing-key", tmp_path / "mine.pem"))
    pem = {"TRUNKLINE_BUNDLE_SIGNING_KEY": (tmp_path / "mine.pem").read_text()}
    done(mlops(*arguments, tmp_path / "variable.tar", env=pem))

    assert (tmp_path / "file.tar").read_bytes() == (tmp_path / "variable.tar").read_bytes()
    config = routed(MODELS, "llmrouter-smallest", model_path=str(tmp_path / "file.tar"))
    config["general_settings"] = {"bundle_public_keys": [str(tmp_path / "mine.pub.pem")]}
    assert said(gateway(config), EASY) == "I am small"
    for key, code in (("mine", 0), ("other", 2)):
        verify = ("bundle", "verify", "file.tar", "--key", f"{key}.pub.pem")
        assert trunkline(*verify, folder=tmp_path).returncode == code
        evaluated = mlops("evaluate", tmp_path / "file.tar", "--data", data / "prepared",
                          "--public-key", tmp_path / f"{key}.pub.pem")  # fmt: skip
        done(evaluated, code)


@pytest.mark.timeout(600)
def test_the_same_data_seed_and_versions_give_the_same_bytes(
    mlops: Mlops, data: Path, tmp_path: Path
) -> None:
    def trained(name: str, *arguments: object) -> bytes:
        done(
            mlops(
                "train", "--strategy", "trunkline-scores", *arguments, "--output", tmp_path / name
            )
        )
        return (tmp_path / name).read_bytes()

    first = trained("first.tar", "--data", data / "prepared", "--seed", "3")
    again = trained("again.tar", "--data", data / "prepared", "--seed", "3")

    assert first == again


def test_the_source_date_is_the_bundle_s_date(mlops: Mlops, data: Path, tmp_path: Path) -> None:
    env = {"SOURCE_DATE_EPOCH": "86400"}
    options = ("--strategy", "smallest", "--llm-data", data / "llm.json", "--output", "a.tar")
    done(mlops("train", "--data", data / "rows.jsonl", *options, folder=tmp_path, env=env))

    manifest = read_bundle(tmp_path / "a.tar").manifest
    assert manifest.created == "1970-01-02T00:00:00Z"
    assert manifest.version.startswith("1970-01-02-")


REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("an unknown strategy", {"strategy": "clairvoyance"}, "'clairvoyance'; these are: trunkline-"),
    ("a built-in strategy", {"strategy": "least-busy"}, "'least-busy'; these are: trunkline-"),
    ("an unknown field", {"epochs": 3}, "epochs: unknown"),
    ("a wrong type", {"seed": "three"}, "seed: expected int"),
    ("no data", {"data": {}}, "nothing says train"),
    ("data that is not there", {"data": {"train": "nowhere"}}, "nowhere: No such file"),
    ("a wrong hyperparameter", {"hyperparameters": {"n_neighbours": 3}}, "n_neighbours"),
)


@pytest.mark.parametrize(("change", "told"), [case[1:] for case in REFUSED],
                         ids=[case[0] for case in REFUSED])  # fmt: skip
def test_what_cannot_be_trained_is_told(
    mlops: Mlops, data: Path, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    config = {
        "strategy": "llmrouter-knn",
        "data": {"train": str(data / "prepared")},
        "output": "router.tar",
        **change,
    }
    (tmp_path / "train.yaml").write_text(json.dumps(config), "utf-8")

    ran = mlops("train", "--config", tmp_path / "train.yaml")

    assert ran.returncode == 2
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "router.tar").exists()


def test_data_that_was_altered_after_it_was_prepared_is_refused(
    mlops: Mlops, data: Path, tmp_path: Path
) -> None:
    done(mlops("prepare", data / "rows.jsonl", "--output", tmp_path / "prepared"))
    with (tmp_path / "prepared" / "train.jsonl").open("a") as file:
        file.write("\n")

    ran = mlops("train", "--strategy", "elo", "--data", tmp_path / "prepared", "--output", "a.tar")

    assert ran.returncode == 2
    assert "train.jsonl: it was altered" in ran.stderr


def test_every_learned_strategy_can_be_named(mlops: Mlops, tmp_path: Path) -> None:
    ran = mlops("train", "--strategy", "?", "--data", tmp_path, "--output", tmp_path / "a.tar")

    assert all(name in ran.stderr for name in LEARNED)
