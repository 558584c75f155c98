"""Routers to measure: trained from the data in `data/`, evaluated, timed, and served.

quality     the cost/quality frontier of every strategy on held-out queries, by `mlops evaluate`
pairs       APGR and CPT between two models, over several splits of RouteLLM's answers
decisions   the time of a decision in this process's code, and in LLMRouter's own `route_single`
throughput  calls to `auto` beside calls to one model, through the same gateway
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import Any

import yaml

from .contenders import KEY, PROVIDER_KEY
from .exchange import question
from .figures import Figures
from .installation import BUILD, ROOT
from .load import Client
from .processes import BenchError, Server, free_port, running, wait_until_idle

DATA = Path(__file__).with_name("data")
TRAIN, TEST = DATA / "llmrouter_train.jsonl.gz", DATA / "llmrouter_test.jsonl.gz"
CANDIDATES, PAIR = DATA / "llm_candidates.json", DATA / "routellm_mmlu_train.jsonl.gz"
FOLDER = BUILD / "routers"
PYTHON = ROOT / ".venv-mlops" / "bin" / "python"

OURS = "trunkline-scores"
STOCK = tuple(f"llmrouter-{name}" for name in ("knn", "svm", "mlp", "mf", "elo", "hybrid", "graph"))
STRATEGIES = (OURS, "trunkline-cluster", *STOCK)
SPLITS = (0, 1, 2, 3, 4)
"""Seeds of the splits of RouteLLM's answers into four fifths and one."""
CONNECTIONS = 32
DISTINCT = 8_000
"""Distinct requests, more than the gateway remembers embeddings of."""
RECURRING = 500
"""Distinct requests that come again and again, as those of agents and of load generators do."""

Say = Callable[[str], None]


def measure(upstream: Server, say: Say, *, rounds: int, seconds: float, splits: int) -> Figures:
    """All figures of routers. Raises BenchError."""
    if not PYTHON.exists():
        raise BenchError("training has an environment of its own: make mlops")
    FOLDER.mkdir(parents=True, exist_ok=True)
    data = _prepared(say)
    bundles = {strategy: _trained(strategy, data, say) for strategy in STRATEGIES}
    return {
        "quality": {name: _evaluated(path, data, say) for name, path in bundles.items()},
        "pairs": _pairs(SPLITS[:splits], say),
        "decisions": _decisions(data, bundles, say),
        "library": _library(data, say),
        "throughput": _throughput(bundles[OURS], upstream, say, rounds, seconds),
    }


# Training and evaluating, in the environment of mlops


def _mlops(*arguments: str | Path) -> None:
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(PYTHON), *map(str, arguments)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise BenchError(f"{' '.join(map(str, arguments))}:\n{tail}")


def _prepared(say: Say) -> Path:
    folder = FOLDER / "data"
    if not (folder / "dataset.json").exists():
        say("preparing the routing data")
        _mlops(
            *("-m", "mlops", "prepare", TRAIN, "--test", TEST, "--llm-data", CANDIDATES),
            *("--output", folder),
        )
    return folder


def _trained(strategy: str, data: Path, say: Say, name: str = "") -> Path:
    bundle = FOLDER / f"{name or strategy}.tar"
    if not bundle.exists():
        say(f"training {name or strategy}")
        _mlops(
            *("-m", "mlops", "train", "--strategy", strategy), "--data", data, "--output", bundle
        )
    return bundle


def _evaluated(bundle: Path, data: Path, say: Say) -> Figures:
    folder = FOLDER / f"{bundle.stem}-report"
    say(f"evaluating {bundle.stem}")
    _mlops("-m", "mlops", "evaluate", bundle, "--data", data, "--output", folder)
    report: Figures = json.loads((folder / "report.json").read_text())
    return report


def picture() -> Path:
    """Where the drawing of our strategy's frontier is, once it was evaluated."""
    return FOLDER / f"{OURS}-report" / "frontier.svg"


def _pairs(seeds: Sequence[int], say: Say) -> Figures:
    found = []
    for seed in seeds:
        data = FOLDER / f"pair-{seed}"
        if not (data / "dataset.json").exists():
            _mlops(
                *("-m", "mlops", "prepare", PAIR, "--llm-data", DATA / "routellm_candidates.json"),
                *("--test-share", "0.2", "--seed", str(seed), "--output", data),
            )
        bundle = _trained(OURS, data, say, f"{OURS}-pair-{seed}")
        found.append(_evaluated(bundle, data, say)["two_models"])
    return {
        "splits": found,
        **{name: fmean(each[name] for each in found) for name in ("apgr", "cpt_50%", "cpt_80%")},
    }


# Times


def _decisions(data: Path, bundles: Mapping[str, Path], say: Say) -> Figures:
    """A process for each, so that none has memory which another has left."""
    say("timing decisions")
    return {"strategies": {name: _timed(data, path) for name, path in bundles.items()}}


def _timed(data: Path, bundle: Path) -> Figures:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.decisions"),
            *map(str, (data / "test.jsonl", bundle, data / "train.jsonl")),
        ],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"decisions of {bundle} could not be timed:\n{done.stderr[-2000:]}")
    found: Figures = json.loads(done.stdout)
    return found


def _library(data: Path, say: Say) -> Figures:
    """Medians of LLMRouter's own `route_single`, in microseconds, by strategy."""
    say("timing LLMRouter's own decisions")
    output = FOLDER / "library.json"
    _mlops("-m", "bench.library", data, output)
    found: Figures = json.loads(output.read_text())
    return found


# Throughput


@contextmanager
def _gateway(bundle: Path, upstream: Server) -> Iterator[Server]:
    labels = list(json.loads(CANDIDATES.read_text()))
    params = {"api_base": f"http://127.0.0.1:{upstream.port}/v1", "api_key": PROVIDER_KEY}
    config = {
        "model_list": [
            {"model_name": name, "litellm_params": {"model": f"openai/{name}", **params}}
            for name in labels
        ],
        "router_settings": {
            "routing_strategy": OURS,
            "routing_strategy_args": {"model_path": str(bundle)},
        },
        "general_settings": {"master_key": KEY},
    }
    path = FOLDER / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    port = free_port()
    command = [sys.executable, "-m", "trunkline", "serve", "--host", "127.0.0.1"]
    command += ["--config", str(path), "--port", str(port)]
    with running("trunkline-auto", command, port, {}, BUILD / "logs") as server:
        yield server


def _throughput(bundle: Path, upstream: Server, say: Say, rounds: int, seconds: float) -> Figures:
    """Requests a second to `auto` with queries that are all new, with such that recur, and to one
    model, in turn."""
    fixed = next(iter(json.loads(CANDIDATES.read_text())))
    texts = _texts()
    rates: dict[str, list[float]] = {"auto": [], "recurring": [], "fixed": []}
    with _gateway(bundle, upstream) as server:
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        clients = {
            name: Client(server, headers, name=f"{server.name}-{name}", bodies=bodies)
            for name, bodies in (
                ("auto", [_asked("auto", text) for text in texts]),
                ("recurring", [_asked("auto", text) for text in texts[:RECURRING]]),
                ("fixed", [_asked(fixed, text) for text in texts]),
            )
        }
        clients["auto"].wait_for_answer()
        for client in clients.values():
            client.load(CONNECTIONS, seconds)
        for number in range(rounds):
            names = list(clients)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                wait_until_idle([server])
                rates[name].append(clients[name].load(CONNECTIONS, seconds).rate)
                say(f"round {number + 1}: {name}, {rates[name][-1]:,.0f}/s")
    return {
        "auto": median(rates["auto"]),
        "recurring": median(rates["recurring"]),
        "fixed": median(rates["fixed"]),
        "ratio": _ratio(rates["auto"], rates["fixed"]),
        "recurring_ratio": _ratio(rates["recurring"], rates["fixed"]),
        "rounds": rates,
    }


def _ratio(rates: Sequence[float], others: Sequence[float]) -> float:
    return median(a / b for a, b in zip(rates, others, strict=True))


def _asked(model: str, text: str) -> bytes:
    messages: list[Any] = json.loads(question())["messages"]
    messages[-1] = {"role": "user", "content": text}
    return question(model=model, messages=messages)


def _texts() -> list[str]:
    """Distinct queries of about 60 tokens: real ones, cut and put together."""
    import gzip

    with gzip.open(PAIR, "rt", encoding="utf-8") as lines:
        queries = list(dict.fromkeys(json.loads(line)["query"] for line in lines))
    words = " ".join(queries).split()
    return [" ".join(words[start : start + 45]) for start in range(0, 45 * DISTINCT, 45)]
