"""Bars by day as shapes that a template draws into an SVG: widths in percent, heights in pixels.

So a chart fits any screen while its text keeps its size. What must not live here: markup.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, floor, log10

HEIGHT = 220
_TOP, _BOTTOM = 26, 190
_LEFT, _WIDTH = 15.0, 85.0
_MOST_BAR = 7.0
_MOST_LABELS = 4
_LINES = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle: `x` and `width` in percent, `y` and `height` in pixels; `series` counts from 0."""

    x: float
    y: float
    width: float
    height: float
    series: int
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A text at a place: pixels from the top of a line of the grid, or percent from the left of a day."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars stacked by series, with the lines of the grid, some of the days, and the names of the series."""

    bars: Sequence[Bar]
    lines: Sequence[Mark]
    days: Sequence[Mark]
    series: Sequence[str]


def bars_by_day(
    values: Mapping[tuple[str, str], float], shown: Callable[[float], str], day_name: Callable[[str], str]
) -> Chart | None:
    """Values by (day as 2026-11-26, series), stacked; days in between that have none stay empty.

    Returns None when there is nothing above zero to draw.
    """
    if not any(value > 0 for value in values.values()):
        return None
    days = _all_days(sorted({day for day, _ in values}))
    series = sorted({name for _, name in values})
    totals = {day: sum(values.get((day, name), 0) for name in series) for day in days}
    step = _step(max(totals.values()))
    top = step * ceil(max(totals.values()) / step - 1e-9)
    slot = _WIDTH / len(days)
    bars = []
    for place, day in enumerate(days):
        width = min(_MOST_BAR, 0.7 * slot)
        x, bottom = _LEFT + place * slot + (slot - width) / 2, float(_BOTTOM)
        for number, name in enumerate(series):
            if (value := values.get((day, name), 0)) > 0:
                height = (_BOTTOM - _TOP) * value / top
                bottom -= height
                title = f"{day_name(day)}, {name} : {shown(value)}"
                bars.append(Bar(round(x, 2), round(bottom, 1), round(width, 2), round(height, 1), number, title))
    every = ceil(len(days) / _MOST_LABELS)
    return Chart(
        bars=bars,
        lines=[
            Mark(round(_BOTTOM - (_BOTTOM - _TOP) * n * step / top, 1), shown(n * step))
            for n in range(round(top / step) + 1)
        ],
        days=[
            Mark(round(_LEFT + (place + 0.5) * slot, 2), day_name(day))
            for place, day in enumerate(days)
            if place % every == 0
        ],
        series=series,
    )


def _all_days(days: Sequence[str]) -> list[str]:
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def _step(largest: float) -> float:
    """A round distance between lines of the grid: 1, 2 or 5 times a power of ten, _LINES lines at most."""
    rough = largest / _LINES
    power = 10.0 ** floor(log10(rough))
    return next(round_ * power for round_ in (1, 2, 5, 10) if round_ * power >= rough * (1 - 1e-9))
