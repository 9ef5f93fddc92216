"""Shapes of the report's pictures, in a box that the page stretches: x from 0 to the count, y from 0 to 100."""

from dataclasses import dataclass

from pipeline.insights.report_text.document import Band, Bar, Bars, Chart, Stacked

_GAP = 0.24  # between columns, of a column's place
_LEAST = 1.5  # height of a column that is not 0, so that it is seen

PART_WIDTH = 1 - _GAP
"""Of a rectangle in a column's place."""


@dataclass(frozen=True, slots=True)
class Column:
    """A rectangle. `marked`: it stands out."""

    x: float
    y: float
    width: float
    height: float
    marked: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of stacked columns."""

    x: float
    y: float
    height: float
    tone: str
    faint: bool


def columns(values: tuple[float, ...], marked: int, top: float | None = None) -> list[Column]:
    """One for each value; the last `marked` stand out."""
    high = top or max(values, default=0) or 1.0
    found = []
    for i, value in enumerate(values):
        height = max(100 * min(value / high, 1.0), _LEAST) if value > 0 else 0.0
        found.append(
            Column(
                round(i + _GAP / 2, 3), round(100 - height, 2), 1 - _GAP, round(height, 2), i >= len(values) - marked
            )
        )
    return found


def chart_top(chart: Chart) -> float:
    """Value at the upper end of the axis."""
    return chart.top or max((*chart.values, *chart.usual), default=0) or 1.0


def usual_lines(chart: Chart) -> list[tuple[float, float, float]]:
    """(x from, x to, y) of what is usual, over each marked column."""
    first, top = len(chart.values) - len(chart.usual), chart_top(chart)
    return [(first + i, first + i + 1, round(100 - 100 * value / top, 2)) for i, value in enumerate(chart.usual)]


def line_points(chart: Chart) -> str:
    """Of a polyline, from the left edge to the right one."""
    top, last = chart_top(chart), max(len(chart.values) - 1, 1)
    return " ".join(f"{100 * i / last:.2f},{100 - 100 * value / top:.2f}" for i, value in enumerate(chart.values))


def bar_percents(bars: Bars, bar: Bar) -> tuple[float, float]:
    """Lengths of now and usual in percent of the longest of all."""
    longest = max((max(one.now, one.usual) for one in bars.bars), default=0) or 1.0
    return round(100 * bar.now / longest, 2), round(100 * bar.usual / longest, 2)


def stack_top(block: Stacked) -> int:
    """The highest column."""
    return max(map(sum, _stacks(block)), default=0) or 1


def parts(block: Stacked) -> list[Part]:
    """Every layer of every column that holds something; what is not marked is faint."""
    top, stacks = stack_top(block), _stacks(block)
    found = []
    for i, values in enumerate(stacks):
        below = 0
        for layer, value in zip(block.layers, values, strict=True):
            if value:
                below += value
                y, height = round(100 - 100 * below / top, 2), round(100 * value / top, 2)
                faint = i < len(stacks) - block.marked
                found.append(Part(round(i + _GAP / 2, 3), y, height, layer.tone, faint))
    return found


def _stacks(block: Stacked) -> list[tuple[int, ...]]:
    return list(zip(*(layer.values for layer in block.layers), strict=True))


def band_top(block: Band) -> float:
    """Value at the upper end of the axis."""
    return max((*block.past, *block.upper), default=0) or 1.0


def band_area(block: Band) -> str:
    """The interval as a polygon, from the first day ahead to the last and back."""
    upper = [_point(block, i, value) for i, value in enumerate(block.upper)]
    lower = [_point(block, i, value) for i, value in enumerate(block.lower)]
    return " ".join([*upper, *reversed(lower)])


def band_line(block: Band) -> str:
    """What is expected as a polyline."""
    return " ".join(_point(block, i, value) for i, value in enumerate(block.expected))


def _point(block: Band, i: int, value: float) -> str:
    return f"{len(block.past) + i + 0.5:.2f},{100 - 100 * value / band_top(block):.2f}"
