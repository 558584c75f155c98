"""From what was measured to figures: medians over the rounds, and the ratios that are promised.

Everything here is plain JSON data, so that tables and pictures can be made anew from results.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .contenders import CONTENDERS
from .measures import HEADLINE, Bench, Found, Load, Sample, Start, Streams, growth

MIB = 2**20
Figures = dict[str, Any]


def of(bench: Bench) -> Figures:
    """The figures of a bench that has run."""
    contenders = {
        name: {"title": CONTENDERS[name].title, **_contender(found)}
        for name, found in bench.findings.items()
    }
    figures: Figures = {"plan": asdict(bench.plan), "contenders": contenders}
    if bench.upstream_rates:
        figures["upstream"] = {
            "rate": median(bench.upstream_rates),
            "times_the_fastest": bench.upstream_factor(),
        }
    figures["ratios"] = ratios(contenders)
    return figures


def _contender(found: Found) -> Figures:
    figures: Figures = {}
    if found.loads:
        figures["throughput"] = {str(count): _loads(loads) for count, loads in found.loads.items()}
    if found.streams:
        figures["streaming"] = _streams(found.streams)
    if found.starts:
        figures["start"] = _starts(found.starts)
    if found.used:
        figures["used"] = _sample(found.used)
    if found.growth:
        figures["growth"] = {
            "share": growth(found.growth),
            "samples": [_sample(sample) for sample in found.growth],
        }
    return figures


def _loads(loads: list[Load]) -> Figures:
    return {
        "rate": _median(loads, lambda load: load.rate),
        "p50_ms": _median(loads, lambda load: load.p50_ms),
        "p99_ms": _median(loads, lambda load: load.p99_ms),
        "cpu_ms": _median(loads, lambda load: load.cpu_seconds / load.requests * 1e3),
        "rounds": [asdict(load) for load in loads],
    }


def _streams(streams: list[Streams]) -> Figures:
    return {
        "first_byte_p50_ms": _median(streams, lambda run: run.first_byte_p50_ms),
        "first_byte_p99_ms": _median(streams, lambda run: run.first_byte_p99_ms),
        "cpu_ms_per_thousand": _median(streams, lambda run: run.cpu_per_thousand * 1e3),
        "chunks_per_second": _median(streams, lambda run: run.chunks / run.seconds),
        "rounds": [asdict(run) for run in streams],
    }


def _starts(starts: list[Start]) -> Figures:
    return {
        "seconds": _median(starts, lambda start: start.seconds),
        "pss_mib": _median(starts, lambda start: start.memory.pss / MIB),
        "rss_mib": _median(starts, lambda start: start.memory.rss / MIB),
        "rounds": [asdict(start) for start in starts],
    }


def _sample(sample: Sample) -> Figures:
    memory = sample.memory
    return {
        "requests": sample.requests,
        "pss_mib": memory.pss / MIB,
        "rss_mib": memory.rss / MIB,
    }


def _median(rounds: list[Any], value: Callable[[Any], float]) -> float:
    return median(map(value, rounds))


@dataclass(frozen=True, slots=True)
class Promise:
    """One promised ratio: the figure of one contender divided by that of another.

    at_least: whether more is better; must and aim are then lower bounds, otherwise upper ones.
    """

    figure: str
    path: tuple[str, ...]
    of: str
    to: str
    must: float
    aim: float
    at_least: bool = True


RATE = ("throughput", str(HEADLINE), "rate")
PROMISES = (
    Promise("Throughput, direct lane : LiteLLM proxy", RATE, "trunkline-direct", "litellm", 40, 70),
    Promise("Throughput, direct lane : Portkey", RATE, "trunkline-direct", "portkey", 3, 5),
    Promise("Throughput, direct lane : bare relay", RATE, "trunkline-direct", "relay", 0.6, 0.8),
    Promise("Throughput, litellm lane : LiteLLM proxy", RATE, "trunkline-litellm", "litellm", 4, 6),
    Promise(
        "Process start to first answer, direct lane : LiteLLM proxy",
        ("start", "seconds"),
        *("trunkline-direct", "litellm"),
        must=1 / 8,
        aim=1 / 15,
        at_least=False,
    ),
    Promise(
        "Resident memory when ready, litellm not loaded : LiteLLM proxy",
        ("start", "pss_mib"),
        *("trunkline-direct", "litellm"),
        must=1 / 3,
        aim=1 / 4,
        at_least=False,
    ),
)
MOST_GROWTH = 0.05


def ratios(contenders: Mapping[str, Figures]) -> list[Figures]:
    """The promises that could be measured: what must be, what is aimed for, what is reached."""
    found = [entry for promise in PROMISES if (entry := _ratio(promise, contenders))]
    direct = contenders.get("trunkline-direct", {})
    if "growth" in direct:
        growth = direct["growth"]
        over = growth["samples"][-1]["requests"]
        figure = f"Growth of resident memory over {over:,} requests after warm-up, direct lane"
        found.append(
            {
                "figure": figure,
                "must": MOST_GROWTH,
                "aim": 0,
                "reached": growth["share"],
                "at_least": False,
                "share": True,
                # Growth below a hundredth is what sampling alone shows.
                "verdict": _verdict(growth["share"], MOST_GROWTH, 0.01, at_least=False),
            }
        )
    return found


def _ratio(promise: Promise, contenders: Mapping[str, Figures]) -> Figures | None:
    mine = _at(contenders.get(promise.of, {}), promise.path)
    theirs = _at(contenders.get(promise.to, {}), promise.path)
    if mine is None or theirs is None:
        return None
    reached = mine / theirs
    return {
        "figure": promise.figure,
        "must": promise.must,
        "aim": promise.aim,
        "reached": reached,
        "at_least": promise.at_least,
        "share": False,
        "verdict": _verdict(reached, promise.must, promise.aim, at_least=promise.at_least),
    }


def _at(figures: Figures, path: Iterable[str]) -> float | None:
    value: Any = figures
    for name in path:
        value = value.get(name, {})
    return value or None


def _verdict(reached: float, must: float, aim: float, *, at_least: bool) -> str:
    def holds(bound: float) -> bool:
        return reached >= bound if at_least else reached <= bound

    return "aim" if holds(aim) else "must" if holds(must) else "missed"


# Routing

_LOOK_UPS = frozenset({"llmrouter-elo"})
"""Strategies that answer every query alike, which a dictionary does as fast as anything."""
_TIMED_LOOSELY = frozenset({"llmrouter-knn", "llmrouter-svm"})
"""Strategies whose decisions go over all training queries."""


def routing_ratios(routing: Figures) -> list[Figures]:
    """What is promised of routers and what is reached; nothing where they weren't measured."""
    return [*_quality_ratios(routing), *_time_ratios(routing)] if routing else []


def _quality_ratios(routing: Figures) -> Iterator[Figures]:
    quality = routing["quality"]
    ours = quality["trunkline-scores"]
    single = ours["baselines"]["best_single"]["quality"]
    yield _share(
        "trunkline-scores: cost at the best single model's quality, of its cost",
        ours["cost_at_best_single_quality"],
        must=0.75,
        aim=0.5,
        at_least=False,
    )
    stock = [
        report["router"]["quality"]["value"]
        for name, report in quality.items()
        if name.startswith("llmrouter-")
    ]
    yield _plain(
        "trunkline-scores: quality at no more than the best single model's cost",
        ours["quality_at_best_single_cost"],
        must=max(single, *stock),
        aim=single + 0.03,
    )
    yield _plain("RouteLLM MMLU: APGR, mean of splits", routing["pairs"]["apgr"], 0.66, 0.72)


def _time_ratios(routing: Figures) -> Iterator[Figures]:
    for name, times in routing["decisions"]["strategies"].items():
        loosely = name in _TIMED_LOOSELY
        yield _plain(
            f"{name}: decision of 60 tokens, p99 in ms",
            times["p99_us"] / 1e3,
            must=2.0 if loosely else 1.0,
            aim=0.3,
            at_least=False,
        )
        theirs = routing["library"].get(name)
        if theirs and name not in _LOOK_UPS:
            yield _plain(
                f"{name}: LLMRouter's route_single, in decisions of ours, embedding given",
                theirs / times["head_p50_us"],
                must=20,
                aim=200,
            )
    added = routing["decisions"]["strategies"]["trunkline-scores"]["added_mib"]
    yield _plain("trunkline-scores: MiB that the bundle adds", added, 5, 5, at_least=False)
    through, what = routing["throughput"], "Throughput of auto : one model, direct lane"
    yield _plain(f"{what}, queries that recur", through["recurring_ratio"], 0.8, 0.95)
    yield _plain(f"{what}, every query new", through["ratio"], 0.8, 0.95)


def accounts_ratios(accounts: Figures) -> list[Figures]:
    """What is promised of accounts and what is reached; nothing where they weren't measured."""
    if not accounts:
        return []
    rates = accounts["rates"]

    def beside(name: str) -> float:
        return median(a / b for a, b in zip(rates[name], rates["master"], strict=True))

    return [
        _plain(
            "Virtual key, limits, budget, ledger in Redis and PostgreSQL : accounts off",
            *(beside("redis"), 0.65, 0.8),
        ),
        _plain("The same in memory and SQLite : accounts off", beside("local"), 0.75, 0.9),
        _plain("Answer from the cache in Redis : direct call", beside("cache"), 1.2, 2.0),
        # Signs of life, of which a process gives one in ten seconds, are counted with the calls.
        _plain(
            *("Redis round trips of a call", round(accounts["redis_round_trips"], 1), 2, 2),
            at_least=False,
        ),
    ]


def ledger_ratios(ledger: Figures) -> list[Figures]:
    """What is promised of the ledger and what is reached; nothing where it wasn't measured."""
    if not ledger:
        return []
    rate = median(ledger["postgresql"]["rate"]) / 1e3
    return [_plain("Ledger: thousands of rows a second into PostgreSQL", rate, must=5, aim=10)]


def rollout_ratios(rollout: Figures) -> list[Figures]:
    """What is promised of rollouts and what is reached; nothing where they weren't measured."""
    if not rollout:
        return []
    slowest = max(rollout["seconds"])
    return [
        _plain(
            "Upload of a bundle to all of three processes serving it, at most, s",
            *(slowest, 5, 1),
            at_least=False,
        ),
        _plain(
            "Failed requests during ten rollouts under load",
            rollout["failed"],
            0,
            0,
            at_least=False,
        ),
    ]


def _plain(
    figure: str, reached: float, must: float, aim: float, *, at_least: bool = True
) -> Figures:
    return {
        "figure": figure,
        "must": must,
        "aim": aim,
        "reached": reached,
        "at_least": at_least,
        "share": False,
        "plain": True,
        "verdict": _verdict(reached, must, aim, at_least=at_least),
    }


def _share(figure: str, reached: float, *, must: float, aim: float, at_least: bool) -> Figures:
    return _plain(figure, reached, must, aim, at_least=at_least) | {"share": True, "plain": False}


def lambda_ratios(starts: Figures) -> list[Figures]:
    """What is promised of functions on Lambda and what is reached; nothing where none started."""
    if not starts:
        return []
    beside = median(a / b for a, b in zip(starts["api_ms"], starts["bare_ms"], strict=True))
    return [
        _plain(
            "Cold start of functions/api with its first call : a bare FastAPI with Mangum",
            *(beside, 3, 2),
            at_least=False,
        ),
        _plain(
            "Layers of a function on Lambda, unzipped, MB",
            *(starts["layers_mb"], 240, 180),
            at_least=False,
        ),
    ]
