"""The figures as text: one table of everything, one of the promised ratios, and the conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .figures import Figures
from .measures import UPSTREAM_FACTOR

Cell = Callable[[Figures], str]

NOTES = (
    "Bare relay: granian, aiohttp and orjson, which Trunkline is built on, without any feature: it"
    " decodes the request, names the model, encodes it, posts it and hands the answer back. Ratios"
    " are taken against the ASGI one; the FastAPI one is the same as a route of that framework.",
    "LiteLLM's proxy and Trunkline serve the same configuration file: one deployment behind a"
    " master key. Portkey checks no key of its own; it is told the provider and its address in the"
    " headers of every request.",
    "Memory is the proportional set size of the process and everything that it started (resident"
    " size in parentheses).",
    "Chunks are server-sent events as the client receives them; CPU is that of the server alone,"
    " with what the start of the streams costs. Where fewer chunks are delivered than the upstream"
    " offers, the server could not keep up, and its times to first byte are those of a queue.",
)


def markdown(figures: Figures) -> str:
    """The whole report."""
    return "\n".join(_report(figures)) + "\n"


def _report(figures: Figures) -> Iterator[str]:
    machine = figures["machine"]
    yield "# Results"
    yield ""
    yield (
        f"Measured {figures['date']} on {machine['cores']} cores ({machine['processor']},"
        f" {machine['memory_gib']} GiB, {machine['system']}), load generator, upstream and gateway"
        f" together. Medians of {_rounds(figures['plan']['rounds'])}. How it is measured:"
        " `docs/benchmarks.md`."
    )
    yield ""
    if figures["ratios"]:
        yield from ratio_table(figures)
        yield ""
    yield from table(figures)
    yield ""
    yield "![The same figures drawn](results.svg)"
    yield ""
    if "routing" in figures:
        yield from _routing(figures["routing"])
    yield "## Conditions"
    yield ""
    notes = (*NOTES, *_upstream_note(figures), _quiet_note(figures))
    yield from (f"- {note}" for note in notes)
    yield ""
    yield "| | version |"
    yield "|---|---|"
    yield from (f"| {name} | {version} |" for name, version in figures["versions"].items())


def _routing(routing: Figures) -> Iterator[str]:
    """Routers: what their decisions are worth on held-out queries, and how long they take."""
    yield "## Routers"
    yield ""
    yield (
        "| | quality | cost | of the best single model's cost | p50 / p99, µs"
        " | embedding given, µs | LLMRouter, µs |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|"
    times, theirs = routing["decisions"]["strategies"], routing["library"]
    for name, report in routing["quality"].items():
        router, timed = report["router"], times.get(name)
        cells = [
            f"{router['quality']['value']:.3f}",
            f"{router['cost']['value']:.2f}",
            f"{router['cost_of_best_single']:.0%}",
            f"{timed['p50_us']:.0f} / {timed['p99_us']:.0f}" if timed else "–",
            f"{timed['head_p50_us']:.0f}" if timed else "–",
            f"{theirs[name]:,.0f}" if name in theirs else "–",
        ]
        yield f"| {name} | {' | '.join(cells)} |"
    simple = routing["quality"]["trunkline-scores"]["baselines"]
    for name, one in simple.items():
        cost = one["cost"] / simple["best_single"]["cost"]
        cells = [f"{one['quality']:.3f}", f"{one['cost']:.2f}", f"{cost:.0%}", "–", "–", "–"]
        yield f"| {name.replace('_', ' ')} | {' | '.join(cells)} |"
    yield ""
    pairs, through = routing["pairs"], routing["throughput"]
    if "date" in routing:
        yield (
            f"Measured {routing['date']}; before, other things kept {routing['busy_before']:.0%} of"
            " the machine busy."
        )
        yield ""
    yield (
        f"Held-out queries: 812, cost in dollars per million tokens. RouteLLM's MMLU answers,"
        f" means of {len(pairs['splits'])} splits: APGR {pairs['apgr']:.3f} (from"
        f" {min(each['apgr'] for each in pairs['splits']):.3f} to"
        f" {max(each['apgr'] for each in pairs['splits']):.3f}), CPT(50%)"
        f" {pairs['cpt_50%']:.0%}, CPT(80%) {pairs['cpt_80%']:.0%}. `auto` answers"
        f" {through['auto']:,.0f} requests/s where every query is new and"
        f" {through['recurring']:,.0f} where they recur, one model {through['fixed']:,.0f}."
    )
    yield ""
    yield "![Quality against cost](frontier.svg)"
    yield ""


def ratio_table(figures: Figures) -> Iterator[str]:
    """What was promised and what is reached."""
    yield "| figure | must reach | aim for | reached | |"
    yield "|---|--:|--:|--:|---|"
    words = {"aim": "aim reached", "must": "reached", "missed": "**missed**"}
    for entry in figures["ratios"]:
        cells = [ratio(entry, entry[name]) for name in ("must", "aim", "reached")]
        yield f"| {entry['figure']} | {' | '.join(cells)} | {words[entry['verdict']]} |"


def ratio(entry: Figures, value: float) -> str:
    """A ratio as one writes it: 70 : 1, 0.6, 1 : 8, or per cent; or a figure as it is."""
    if entry.get("plain"):
        return f"{value:.3g}"
    if entry["share"]:
        return f"{value * 100:.2g}%"
    if entry["at_least"]:
        return f"{value:.3g} : 1" if value >= 1 and entry["must"] >= 1 else f"{value:.2g}"
    return f"1 : {1 / value:.3g}"


def table(figures: Figures) -> Iterator[str]:
    """Every figure of every contender, in one table."""
    contenders = list(figures["contenders"].values())
    yield "| | " + " | ".join(contender["title"] for contender in contenders) + " |"
    yield "|---|" + "--:|" * len(contenders)
    for name, cell in _rows(figures):
        cells = [_or_dash(cell, contender) for contender in contenders]
        if any(text != "–" for text in cells):
            yield f"| {name} | {' | '.join(cells)} |"


def _or_dash(cell: Cell, contender: Figures) -> str:
    try:
        return cell(contender)
    except KeyError:
        return "–"


def _rows(figures: Figures) -> Iterator[tuple[str, Cell]]:
    counts = [str(count) for count in figures["plan"]["connections"]]
    for count in counts:
        yield f"requests/s, {_connections(count)}", _load_cell(count, _rate)
    for count in counts:
        yield f"p50 / p99, {_connections(count)}, ms", _load_cell(count, _latencies)
    for count in counts:
        yield f"CPU a request, {_connections(count)}, ms", _load_cell(count, _cpu)
    yield "process start to first answer, s", lambda one: f"{one['start']['seconds']:.2f}"
    yield "memory after start, MiB", lambda one: _memory(one["start"])
    used = figures["plan"]["requests"]
    yield f"memory after {used:,} requests, MiB", lambda one: _memory(one["used"])
    streams = figures["plan"]["streams"]
    yield f"first byte of {streams} streams, p50 / p99, ms", _first_byte
    yield f"CPU per 1,000 chunks, {streams} streams, ms", _stream_cpu
    offered = streams / figures["plan"]["interval"]
    yield f"chunks/s delivered of about {offered:,.0f}, {streams} streams", _delivered


def _connections(count: str) -> str:
    return f"{count} connection{'' if count == '1' else 's'}"


def _load_cell(count: str, show: Callable[[Figures], str]) -> Cell:
    return lambda contender: show(contender["throughput"][count])


def _rate(load: Figures) -> str:
    return f"{load['rate']:,.0f}"


def _latencies(load: Figures) -> str:
    return f"{milliseconds(load['p50_ms'])} / {milliseconds(load['p99_ms'])}"


def _cpu(load: Figures) -> str:
    return milliseconds(load["cpu_ms"])


def _memory(sample: Figures) -> str:
    return f"{sample['pss_mib']:.0f} ({sample['rss_mib']:.0f})"


def _first_byte(contender: Figures) -> str:
    found = contender["streaming"]
    p50, p99 = found["first_byte_p50_ms"], found["first_byte_p99_ms"]
    return f"{milliseconds(p50)} / {milliseconds(p99)}"


def _stream_cpu(contender: Figures) -> str:
    return f"{contender['streaming']['cpu_ms_per_thousand']:,.0f}"


def _delivered(contender: Figures) -> str:
    return f"{contender['streaming']['chunks_per_second']:,.0f}"


def milliseconds(value: float) -> str:
    """Three digits that count, whole from 100 on."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _rounds(count: int) -> str:
    return f"{count} round{'' if count == 1 else 's'}"


def _upstream_note(figures: Figures) -> Iterator[str]:
    upstream: dict[str, Any] | None = figures.get("upstream")
    if upstream:
        yield (
            f"The upstream answered {upstream['rate']:,.0f} requests/s to the same load generator,"
            f" {upstream['times_the_fastest']:.0f} times the fastest contender (at least"
            f" {UPSTREAM_FACTOR} times are required)."
        )


def _quiet_note(figures: Figures) -> str:
    return f"Before the run, other things kept {figures['busy_before']:.0%} of the machine busy."
