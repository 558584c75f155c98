"""Just enough SVG to draw bars, ranges and lines, with nothing to install."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

INK = "#202124"
FAINT = "#5f6368"
GRID = "#e3e6ea"
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a value stands between two coordinates; logarithmic when asked."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * share

    def ticks(self) -> Iterator[float]:
        """Round values to mark: decades, or about five equal steps."""
        if self.log:
            yield from (10.0**power for power in _powers(self.low, self.high))
            return
        step = round_up((self.high - self.low) / 5)
        count = math.floor((self.high - self.low) / step + 1e-9)
        yield from (self.low + step * number for number in range(count + 1))


def _powers(low: float, high: float) -> range:
    return range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)


def round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 or 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999)


def decades(values: Iterable[float]) -> tuple[float, float]:
    """The powers of ten around some values."""
    found = [value for value in values if value > 0]
    return (
        10.0 ** math.floor(math.log10(min(found))),
        10.0 ** math.ceil(math.log10(max(found))),
    )


def number(value: float) -> str:
    """A value as axes and labels show it."""
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.3g}"


@dataclass(slots=True)
class Canvas:
    """Elements in the order in which they are drawn; coordinates in pixels from the top left."""

    width: float
    height: float
    elements: list[str] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        content: str,
        *,
        size: float = 12,
        colour: str = INK,
        anchor: str = "start",
        weight: str = "normal",
        turn: bool = False,
    ) -> None:
        turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}"'
            f' text-anchor="{anchor}" font-weight="{weight}"{turned}>{escape(content)}</text>'
        )

    def bar(
        self, x: float, y: float, width: float, height: float, colour: str, *, opacity: float = 1
    ) -> None:
        self.elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}"'
            f' height="{max(height, 0.5):.1f}" rx="1.5" fill="{colour}"'
            f' fill-opacity="{opacity:g}"/>'
        )

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        *,
        colour: str = GRID,
        width: float = 1,
        dash: str = "",
    ) -> None:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.elements.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
            f' stroke="{colour}" stroke-width="{width:g}"{dashed}/>'
        )

    def dot(self, x: float, y: float, colour: str, *, radius: float = 4.5) -> None:
        self.elements.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>')

    def path(self, points: Iterable[tuple[float, float]], colour: str) -> None:
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.elements.append(
            f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )

    def render(self, title: str) -> str:
        """The whole document, on white, so that it reads on dark pages too."""
        size = f"{self.width:g} {self.height:g}"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"'
            f' width="{self.width:g}" height="{self.height:g}" font-family="{FONT}" role="img">'
        )
        background = f'<rect width="{self.width:g}" height="{self.height:g}" fill="#ffffff"/>'
        body = [head, f"<title>{escape(title)}</title>", background, *self.elements, "</svg>"]
        return "\n".join(body) + "\n"
