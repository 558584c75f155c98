"""The picture of a report: quality over cost, of every model, the router and its frontier."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 64, 724, 56, 400
INK, FAINT, GRID, ROUTER, SINGLE = "#202124", "#5f6368", "#e3e6ea", "#1a5fb4", "#c64600"
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"

Place = Callable[[float], float]


def picture(report: Mapping[str, Any]) -> str:
    """An SVG. The report must have costs."""
    points = [*report["models"], *report["frontier"], *report["baselines"].values()]
    across, marks_across = _axis([each["cost"] for each in points], LEFT, RIGHT)
    up, marks_up = _axis([each["quality"] for each in points], BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
        f' viewBox="0 0 {WIDTH} {HEIGHT}" font-family="{FONT}" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 28, _title(report), INK, size=16),
        *(_line(across(x), TOP, across(x), BOTTOM) for x in marks_across),
        *(_text(across(x), BOTTOM + 18, f"{x:g}", FAINT, "middle") for x in marks_across),
        *(_line(LEFT, up(y), RIGHT, up(y)) for y in marks_up),
        *(_text(LEFT - 8, up(y) + 4, f"{y:g}", FAINT, "end") for y in marks_up),
        _text((LEFT + RIGHT) / 2, BOTTOM + 40, f"cost, {report['cost_unit']}", FAINT, "middle"),
        _text(LEFT, TOP - 10, "mean quality", FAINT),
        *_router(report, across, up),
        *_models(report, across, up),
        *_baselines(report, across, up),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(report: Mapping[str, Any]) -> str:
    bundle = report["bundle"]
    return f"{bundle['strategy']} {bundle['version']}: {report['queries']} queries"


def _axis(values: Sequence[float], start: float, end: float) -> tuple[Place, list[float]]:
    """Where a value stands between two coordinates, and the round values between them."""
    low, high = min(values), max(values)
    step = _step((high - low) or abs(high) or 1.0)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if low == high:
        high += step
    marks = [round(low + step * number, 10) for number in range(round((high - low) / step) + 1)]
    return (lambda value: start + (end - start) * (value - low) / (high - low)), marks


def _step(span: float) -> float:
    """About a sixth of the span, as 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(span / 6))
    return next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= span / 6)


def _models(report: Mapping[str, Any], across: Place, up: Place) -> Iterator[str]:
    best = report["baselines"]["best_single"]["model"]
    for each in report["models"]:
        colour = SINGLE if each["model"] == best else FAINT
        x, y = across(each["cost"]), up(each["quality"])
        yield _dot(x, y, colour, each["model"])
        yield _label(x, y, each["model"], colour)


def _baselines(report: Mapping[str, Any], across: Place, up: Place) -> Iterator[str]:
    for name in ("random", "oracle"):
        each = report["baselines"][name]
        x, y = across(each["cost"]), up(each["quality"])
        yield f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="{INK}" stroke-width="2"/>'
        yield _label(x, y, name, INK)


def _router(report: Mapping[str, Any], across: Place, up: Place) -> Iterator[str]:
    envelope = list(_envelope(report["frontier"]))
    path = " ".join(f"{across(each['cost']):.1f},{up(each['quality']):.1f}" for each in envelope)
    yield f'<polyline points="{path}" fill="none" stroke="{ROUTER}" stroke-width="2"/>'
    for each in report["frontier"]:
        yield _dot(
            across(each["cost"]), up(each["quality"]), ROUTER, f"weight {each['weight']:g}", 2
        )
    router = report["router"]
    x, y = across(router["cost"]["value"]), up(router["quality"]["value"])
    yield _dot(x, y, ROUTER, "router", 6)
    yield _text(x, y - 12, "router", ROUTER, "middle")


def _envelope(points: Iterable[Mapping[str, float]]) -> Iterator[Mapping[str, float]]:
    """The points than which none is better and cheaper, from cheap to dear."""
    best = -math.inf
    for each in sorted(points, key=lambda each: (each["cost"], -each["quality"])):
        if each["quality"] > best:
            best = each["quality"]
            yield each


def _dot(x: float, y: float, colour: str, title: str, radius: int = 4) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}">'
        f"<title>{escape(title)}</title></circle>"
    )


def _label(x: float, y: float, text: str, colour: str) -> str:
    """Beside a dot, on the side that has room."""
    if x > (LEFT + RIGHT) / 2:
        return _text(x - 9, y + 4, text, colour, "end")
    return _text(x + 9, y + 4, text, colour)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start", size: int = 12) -> str:
    # White around the letters keeps them legible where a line passes.
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}"'
        f' font-size="{size}" paint-order="stroke" stroke="#ffffff" stroke-width="4">'
        f"{escape(text)}</text>"
    )
