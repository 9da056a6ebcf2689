"""A chart as SVG: lines on logarithmic axes, in panels side by side, readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 420
"""The width of one panel; everything is in pixels."""
TOP, LEFT, RIGHT, BOTTOM, PLOT = 70, 56, 34, 44, 240

_STYLE: Final = """
  .page { fill: #ffffff } text { fill: #1f2328; font: 12px sans-serif } .title { font-weight: bold }
  path { fill: none; stroke-width: 2 } .grid { stroke: #d1d9e0; stroke-width: 1 } .dashed { stroke-dasharray: 6 4 }
  .c0 { stroke: #0550ae } .c1 { stroke: #bc4c00 } .c2 { stroke: #116329 } circle { stroke-width: 0 }
  circle.c0 { fill: #0550ae } circle.c1 { fill: #bc4c00 } circle.c2 { fill: #116329 } .key { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #f0f6fc } .grid { stroke: #3d444d } .key { stroke: #f0f6fc }
    .c0 { stroke: #58a6ff } .c1 { stroke: #f0883e } .c2 { stroke: #56d364 }
    circle.c0 { fill: #58a6ff } circle.c1 { fill: #f0883e } circle.c2 { fill: #56d364 }
  }
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; those with the same name have the same colour. All numbers are above 0."""

    name: str
    dashed: bool
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot with its title."""

    title: str
    lines: Sequence[Line]


def drawn(panels: Sequence[Panel], *, axis: str, plain: str, dashed: str) -> str:
    """Return the panels as a document. ``plain`` and ``dashed`` say what such lines mean, ``axis`` what is counted."""
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    width, height = WIDTH * len(panels), TOP + PLOT + BOTTOM
    said = escape(f"{' and '.join(panel.title for panel in panels)} over {axis}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{said}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}"/>',
    ]
    x = LEFT
    for number, name in enumerate(names):
        parts += [f'<path class="c{number}" d="M{x} 20h28"/>', f'<text x="{x + 34}" y="24">{escape(name)}</text>']
        x += 50 + 8 * len(name)
    for text, kind in ((plain, "key"), (dashed, "key dashed")):
        parts += [f'<path class="{kind}" d="M{x} 20h28"/>', f'<text x="{x + 34}" y="24">{escape(text)}</text>']
        x += 50 + 7 * len(text)
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate({number * WIDTH + LEFT} {TOP})">', *_panel(panel, names, axis), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, names: Sequence[str], axis: str) -> list[str]:
    across, high = WIDTH - LEFT - RIGHT, PLOT
    points = [point for line in panel.lines for point in line.points]
    first, last = _ends([x for x, _ in points])
    low, top = _ends([y for _, y in points])

    def at(x: float, y: float) -> tuple[float, float]:
        right = (math.log10(x) - first) / (last - first) * across
        down = high - (math.log10(y) - low) / (top - low) * high
        return round(right, 1), round(down, 1)

    parts = [f'<text class="title" x="0" y="-14">{escape(panel.title)}</text>']
    for power in range(first, last + 1):
        x, _ = at(10**power, 10**low)
        parts.append(f'<path class="grid" d="M{x} 0v{high}"/>')
        parts.append(f'<text x="{x}" y="{high + 18}" text-anchor="middle">{10**power:,}</text>')
    for power in range(low, top + 1):
        _, y = at(10**first, 10**power)
        parts.append(f'<path class="grid" d="M0 {y}h{across}"/>')
        parts.append(f'<text x="-8" y="{y + 4}" text-anchor="end">{10.0**power:,.{max(0, -power)}f}</text>')
    parts.append(f'<text x="{across / 2}" y="{high + 36}" text-anchor="middle">{escape(axis)}</text>')
    for line in panel.lines:
        colour = f"c{names.index(line.name)}"
        places = [at(*point) for point in line.points]
        way = "L".join(f"{x} {y}" for x, y in places)
        parts.append(f'<path class="{colour}{" dashed" if line.dashed else ""}" d="M{way}"/>')
        parts += [f'<circle class="{colour}" cx="{x}" cy="{y}" r="3"/>' for x, y in places]
    return parts


def _ends(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten around some values, at least one apart."""
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))
