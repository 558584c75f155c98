"""The picture of the figures: one panel for each thing measured, one colour for each contender."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .figures import Figures
from .report import milliseconds, ratio
from .svg import FAINT, GRID, INK, Canvas, Scale, decades, number, round_up

COLOURS = {
    "relay": "#80868b",
    "relay-fastapi": "#bdc1c6",
    "trunkline-direct": "#1a56b0",
    "trunkline-litellm": "#76aef0",
    "litellm": "#d9722e",
    "portkey": "#4f9d75",
}
WIDTH = 1160.0
MARGIN = 40.0
GAP = 48.0
ROW = 26.0
LABELS = 150.0
VALUES = 96.0
PROMISES = 490.0
"""Width of what is promised, in words."""
"""Room to the right of the bars, for the labels of the longest."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a panel stands."""

    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """One contender's line in a panel: the values it shows, the last as the label tells."""

    name: str
    title: str
    values: tuple[float, ...]
    label: str


Panel = Callable[[Canvas, Box], float]
"""Draws itself from the top of its box; gives its height."""


def draw(figures: Figures) -> str:
    """The picture as an SVG document."""
    canvas = Canvas(WIDTH, 0)
    y = _heading(canvas, figures)
    full = WIDTH - 2 * MARGIN
    half = (full - GAP) / 2
    panels = _panels(figures)
    if "throughput" in panels:
        y += panels.pop("throughput")(canvas, Box(MARGIN, y, full)) + GAP
    last = panels.pop("ratios", None)
    pairs = list(panels.values())
    for left, right in zip(pairs[::2], [*pairs[1::2], None], strict=False):
        heights = [left(canvas, Box(MARGIN, y, half))]
        if right:
            heights.append(right(canvas, Box(MARGIN + half + GAP, y, half)))
        y += max(heights) + GAP
    if last:
        y += last(canvas, Box(MARGIN, y, full)) + GAP
    canvas.height = y
    return canvas.render("Trunkline beside other gateways")


def _heading(canvas: Canvas, figures: Figures) -> float:
    machine, versions = figures["machine"], figures["versions"]
    canvas.text(MARGIN, 44, "Trunkline beside other gateways", size=22, weight="600")
    names = ("Trunkline", "LiteLLM proxy", "Portkey gateway")
    measured = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    where = f"{machine['cores']} cores ({machine['processor']})"
    canvas.text(
        MARGIN, 66, f"{measured} · one worker each · {where} · {figures['date']}", colour=FAINT
    )
    x = MARGIN
    for name, contender in figures["contenders"].items():
        canvas.bar(x, 82, 12, 12, COLOURS[name])
        canvas.text(x + 18, 92.5, contender["title"])
        x += 34 + 6.9 * len(contender["title"])
    return 130.0


def _panels(figures: Figures) -> dict[str, Panel]:
    """The panels that there are figures for, in the order in which they are drawn."""
    contenders: dict[str, Figures] = figures["contenders"]
    plan = figures["plan"]
    panels: dict[str, Panel] = {}

    def rows(
        values: Callable[[Figures], tuple[float, ...]], show: Callable[[tuple[float, ...]], str]
    ) -> list[Row]:
        found = []
        for name, one in contenders.items():
            try:
                shown = values(one)
            except KeyError:
                continue
            found.append(Row(name, one["title"], shown, show(shown)))
        return found

    def add(
        key: str,
        kind: Callable[[str, str, Sequence[Row]], Panel],
        title: str,
        unit: str,
        found: Sequence[Row],
    ) -> None:
        if found:
            panels[key] = kind(title, unit, found)

    if any("throughput" in one for one in contenders.values()):
        panels["throughput"] = _throughput(
            contenders, [str(count) for count in plan["connections"]]
        )
    add(
        "latency",
        _ranges,
        "Latency at 32 connections",
        "milliseconds, p50 to p99, logarithmic; less is better",
        rows(lambda one: _pair(one["throughput"]["32"], "p50_ms", "p99_ms"), _milliseconds),
    )
    add(
        "first byte",
        _ranges,
        f"Time to first byte of a stream, {plan['streams']} at once",
        "milliseconds, p50 to p99, logarithmic; less is better",
        rows(
            lambda one: _pair(one["streaming"], "first_byte_p50_ms", "first_byte_p99_ms"),
            _milliseconds,
        ),
    )
    add(
        "start",
        _bars,
        "Process start to first answer",
        "seconds; less is better",
        rows(lambda one: (one["start"]["seconds"],), lambda shown: f"{shown[0]:.2f} s"),
    )
    add(
        "streaming",
        _bars,
        f"CPU time per 1,000 chunks of {plan['streams']} streams",
        "milliseconds; less is better",
        rows(
            lambda one: (one["streaming"]["cpu_ms_per_thousand"],),
            lambda shown: f"{shown[0]:,.0f} ms",
        ),
    )
    add(
        "memory",
        _bars,
        f"Resident memory after start (full) and after {plan['requests']:,} requests (pale)",
        "MiB, shared pages counted once; less is better",
        rows(
            lambda one: (one["start"]["pss_mib"], one.get("used", one["start"])["pss_mib"]),
            lambda shown: " → ".join(f"{value:.0f}" for value in shown),
        ),
    )
    direct = contenders.get("trunkline-direct", {})
    if "growth" in direct:
        panels["growth"] = _growth(direct["growth"])
    if not all(entry["share"] for entry in figures["ratios"]):
        panels["ratios"] = _ratios(figures["ratios"])
    return panels


def _pair(figures: Figures, first: str, second: str) -> tuple[float, float]:
    return figures[first], figures[second]


def _milliseconds(shown: tuple[float, ...]) -> str:
    return " – ".join(map(milliseconds, shown))


def _title(canvas: Canvas, box: Box, title: str, unit: str) -> float:
    canvas.text(box.x, box.y + 4, title, size=14, weight="600")
    canvas.text(box.x, box.y + 21, unit, size=11, colour=FAINT)
    return box.y + 34


def _axis(canvas: Canvas, scale: Scale, top: float, bottom: float) -> None:
    """Vertical lines with their values below."""
    for value in scale.ticks():
        x = scale.at(value)
        canvas.line(x, top, x, bottom)
        canvas.text(x, bottom + 14, number(value), size=10.5, colour=FAINT, anchor="middle")


def _throughput(contenders: dict[str, Figures], counts: Sequence[str]) -> Panel:
    """Bars in groups, one group for each number of connections."""
    height = 230.0
    rates = {
        name: {count: one["throughput"][count]["rate"] for count in counts}
        for name, one in contenders.items()
        if "throughput" in one
    }

    def panel(canvas: Canvas, box: Box) -> float:
        top = _title(canvas, box, "Requests a second", "more is better, logarithmic")
        bottom = top + height
        low, high = decades(rate for found in rates.values() for rate in found.values())
        scale = Scale(low, high, bottom, top, log=True)
        left = box.x + 44
        for value in scale.ticks():
            canvas.line(left, scale.at(value), box.x + box.width, scale.at(value))
            label = number(value)
            canvas.text(left - 8, scale.at(value) + 4, label, size=10.5, colour=FAINT, anchor="end")
        group = (box.x + box.width - left) / len(counts)
        width = (group - 24) / len(rates)
        for place, count in enumerate(counts):
            start = left + place * group + 12
            for number_, (name, found) in enumerate(rates.items()):
                x, y = start + number_ * width, scale.at(found[count])
                canvas.bar(x + 1, y, width - 2, bottom - y, COLOURS[name])
                label = f"{found[count]:,.0f}"
                canvas.text(x + width / 2, y - 4, label, size=10, anchor="middle")
            words = f"{count} connection{'' if count == '1' else 's'}"
            canvas.text(start + (group - 24) / 2, bottom + 18, words, anchor="middle")
        return bottom + 24 - box.y

    return panel


def _bars(title: str, unit: str, rows: Sequence[Row]) -> Panel:
    """A bar a row from zero; further values as paler bars behind the first."""

    def panel(canvas: Canvas, box: Box) -> float:
        top = _title(canvas, box, title, unit)
        bottom = top + ROW * len(rows)
        most = max(max(row.values) for row in rows)
        end = box.x + box.width - VALUES
        scale = Scale(0, most, box.x + LABELS, end)
        _axis(canvas, scale, top, bottom)
        for place, row in enumerate(rows):
            y = top + place * ROW
            canvas.text(box.x + LABELS - 8, y + 17, row.title, anchor="end")
            for value, opacity in reversed(list(zip(row.values, (1, 0.4), strict=False))):
                width = scale.at(value) - scale.start
                canvas.bar(scale.start, y + 5, width, ROW - 10, COLOURS[row.name], opacity=opacity)
            canvas.text(scale.at(max(row.values)) + 6, y + 17, row.label, size=11)
        return bottom + 18 - box.y

    return panel


def _ranges(title: str, unit: str, rows: Sequence[Row]) -> Panel:
    """A line a row from its first value to its last, on a logarithmic axis."""

    def panel(canvas: Canvas, box: Box) -> float:
        top = _title(canvas, box, title, unit)
        bottom = top + ROW * len(rows)
        low, high = decades(value for row in rows for value in row.values)
        scale = Scale(low, high, box.x + LABELS, box.x + box.width - VALUES, log=True)
        _axis(canvas, scale, top, bottom)
        for place, row in enumerate(rows):
            y, colour = top + place * ROW + ROW / 2, COLOURS[row.name]
            first, last = scale.at(row.values[0]), scale.at(row.values[-1])
            canvas.text(box.x + LABELS - 8, y + 4, row.title, anchor="end")
            canvas.line(first, y, last, y, colour=colour, width=5)
            canvas.dot(first, y, colour)
            canvas.dot(last, y, colour)
            canvas.text(last + 9, y + 4, row.label, size=11)
        return bottom + 18 - box.y

    return panel


def _growth(growth: Figures) -> Panel:
    """Memory over requests, from zero, so that a rise shows at its true size."""
    samples = growth["samples"]
    height = ROW * 6

    def panel(canvas: Canvas, box: Box) -> float:
        title = f"Memory of Trunkline under load, direct lane: {growth['share'] * 100:+.1f}%"
        top = _title(canvas, box, title, "MiB over requests after warm-up")
        bottom = top + height
        most = max(sample["pss_mib"] for sample in samples)
        step = round_up(most * 1.1 / 4)
        up = Scale(0, step * math.ceil(most * 1.1 / step), bottom, top)
        along = Scale(0, samples[-1]["requests"], box.x + 44, box.x + box.width - 24)
        _axis(canvas, along, top, bottom)
        for value in up.ticks():
            y = up.at(value)
            canvas.line(along.start, y, along.end, y)
            canvas.text(
                along.start - 8, y + 4, number(value), size=10.5, colour=FAINT, anchor="end"
            )
        points = [(along.at(one["requests"]), up.at(one["pss_mib"])) for one in samples]
        canvas.path(points, COLOURS["trunkline-direct"])
        for x, y in points:
            canvas.dot(x, y, COLOURS["trunkline-direct"], radius=2.5)
        return bottom + 18 - box.y

    return panel


def _ratios(entries: Sequence[Figures]) -> Panel:
    """How far each promise is kept: reached as a multiple of what must be, beside the aim."""
    # Of what must be nothing at all there is no multiple.
    shown = [entry for entry in entries if not entry["share"] and entry["must"]]

    def kept(entry: Figures, value: float) -> float:
        return value / entry["must"] if entry["at_least"] else entry["must"] / value

    def panel(canvas: Canvas, box: Box) -> float:
        unit = "times what must be reached (1 = just), logarithmic; the tick is what is aimed for"
        top = _title(canvas, box, "Against what must be reached", unit)
        bottom = top + ROW * len(shown)
        values = [kept(entry, entry[name]) for entry in shown for name in ("aim", "reached")]
        low, high = min(0.95, *values), max(2.0, *values)
        scale = Scale(
            low / 1.2, high * 1.1, box.x + PROMISES + 8, box.x + box.width - 190, log=True
        )
        for value in (0.25, 0.5, 1, 2, 4, 8):
            if scale.low <= value <= scale.high:
                x = scale.at(value)
                colour = FAINT if value == 1 else GRID
                canvas.line(x, top, x, bottom, colour=colour)
                label = number(value)
                canvas.text(x, bottom + 14, label, size=10.5, colour=FAINT, anchor="middle")
        colours = {"aim": "#1a56b0", "must": "#76aef0", "missed": "#b3261e"}
        for place, entry in enumerate(shown):
            y = top + place * ROW
            canvas.text(box.x + PROMISES, y + 17, entry["figure"], size=11.5, anchor="end")
            x = scale.at(kept(entry, entry["reached"]))
            start = scale.at(1)
            colour = colours[entry["verdict"]]
            canvas.bar(min(x, start), y + 6, abs(x - start), ROW - 12, colour)
            aim = scale.at(kept(entry, entry["aim"]))
            canvas.line(aim, y + 3, aim, y + ROW - 3, colour=INK, width=2)
            words = f"{ratio(entry, entry['reached'])}  (must {ratio(entry, entry['must'])})"
            canvas.text(scale.end + 10, y + 17, words, size=11)
        return bottom + 18 - box.y

    return panel
