"""A report as Markdown, for people. The figures are those of the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def markdown(report: Mapping[str, Any]) -> str:
    """The report for people. Figures are what the JSON holds."""
    router, unit = report["router"], report["cost_unit"]
    header, rule = "| | quality |", "|---|--:|"
    if unit:
        header, rule = f"{header} cost, {unit} |", f"{rule}--:|"
    bundle = report["bundle"]
    lines = [
        f"# {bundle['strategy']} {bundle['version']}",
        "",
        f"{report['queries']} queries; 95% intervals from {report['resamples']} resamples.",
        "",
        header,
        rule,
        _row("**router**", _told(router["quality"]), _told(router.get("cost")), unit),
    ]
    for name, each in report["baselines"].items():
        title = name.replace("_", " ") + (f" ({each['model']})" if "model" in each else "")
        lines.append(_row(title, _number(each["quality"]), _number(each.get("cost")), unit))
    lines += ["", "| figure | |", "|---|--:|"]
    lines += [f"| {name} | {value} |" for name, value in _others(report)]
    lines += ["", "| model | calls |", "|---|--:|"]
    lines += [f"| {name} | {count} |" for name, count in router["calls"].items()]
    if report["tasks"]:
        lines += ["", "| task | queries | router | best single | oracle |", "|---|--:|--:|--:|--:|"]
        lines += [
            f"| {task} | {each['queries']} | {_number(each['quality'])}"
            f" | {_number(each['best_single'])} | {_number(each['oracle'])} |"
            for task, each in report["tasks"].items()
        ]
    return "\n".join(lines) + "\n"


def _others(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    router = report["router"]
    told = [
        ("accuracy against the oracle", _told(router["accuracy"])),
        ("regret", _told(router["regret"])),
        ("quality above the best single model's", _told(router["gain_over_best_single"])),
    ]
    if router.get("cost_of_best_single") is not None:
        told.append(("cost, of the best single model's", f"{router['cost_of_best_single']:.0%}"))
    if report.get("cost_at_best_single_quality") is not None:
        share = f"{report['cost_at_best_single_quality']:.0%}"
        told.append(("cost at the best single model's quality, of its cost", share))
    if report.get("quality_at_best_single_cost") is not None:
        best = _number(report["quality_at_best_single_cost"])
        told.append(("quality at no more than the best single model's cost", best))
    pair = report.get("two_models", {})
    told += [
        (f"{name.upper().replace('_', ' ')} ({pair['strong']} over {pair['weak']})", _number(value))
        for name, value in pair.items()
        if name not in {"strong", "weak"}
    ]
    times = report.get("latency_ms")
    if times:
        told.append(("decision, ms (p50 / p99)", f"{times['p50']:.3f} / {times['p99']:.3f}"))
    return told


def _row(title: str, quality: str, cost: str, unit: str | None) -> str:
    return f"| {title} | {quality} |" + (f" {cost} |" if unit else "")


def _told(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return ""
    if figure.get("low") is None:
        return _number(figure["value"])
    return f"{_number(figure['value'])} ({_number(figure['low'])} to {_number(figure['high'])})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
