"""Pictures of trips, as SVG: a map of the most travelled groups and a chart of weekly trips."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from warehouse_assets.defs.trips.answers import WeeklyTrips

# Okabe and Ito's colours, which people with any colour vision can tell apart.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8f8f2f")
OTHER_COLOUR = "#8c8c8c"

# A picture shown on its own, or by <img>, follows the reader's choice of light and dark.
_STYLE = """
svg { font: 13px system-ui, sans-serif; fill: #222; background: #fff; }
.title { font-size: 17px; font-weight: 600; }
.faint { fill: #666; }
.rule { stroke: #ddd; stroke-width: 1; fill: none; }
.panel { fill: #f6f7f9; stroke: #ddd; }
@media (prefers-color-scheme: dark) {
  svg { fill: #e8e8e8; background: #16181c; }
  .faint { fill: #a0a4ab; }
  .rule { stroke: #363a41; }
  .panel { fill: #1d2026; stroke: #363a41; }
}
"""
_WIDTH = 960
_TOP = 44
_GAP = 12
_PANELS_IN_A_ROW = 3
_MOST_PANELS = 6
_PANEL_HEIGHT = 300
_CHART_HEIGHT = 360
_LEFT, _RIGHT, _BOTTOM = 88, 16, 64
_KM_OF_A_DEGREE = 111.32  # of latitude, and of longitude at the equator
_LEAST_DEGREES = 0.02

Place = tuple[float, float]
"""Longitude and latitude, in degrees."""


@dataclass(frozen=True)
class Line:
    """Trips from one place to another."""

    region: str
    origin: Place
    destination: Place
    trips: int


def trips_map(groups: Iterable[Line]) -> str:
    """A map of `groups` for each of the regions with the most trips among them.

    A line goes from origin to destination, a dot is trips within one tile; its width and area
    stand for the trips, those of all hours of the day together.
    """
    by_region: dict[str, dict[tuple[Place, Place], int]] = {}
    for group in groups:
        lines = by_region.setdefault(group.region, {})
        ends = (group.origin, group.destination)
        lines[ends] = lines.get(ends, 0) + group.trips
    regions = sorted(by_region, key=lambda name: (-sum(by_region[name].values()), name))
    shown = regions[:_MOST_PANELS]
    columns = min(len(shown), _PANELS_IN_A_ROW) or 1
    rows = math.ceil(len(shown) / columns)
    width = (_WIDTH - _GAP * (columns + 1)) / columns
    height = max(_TOP + rows * (_PANEL_HEIGHT + _GAP) + 8, 120)
    root = _picture(height, "The most travelled groups of trips", shown)
    most = max((trips for lines in by_region.values() for trips in lines.values()), default=1)
    for number, region in enumerate(shown):
        row, column = divmod(number, columns)
        corner = (_GAP + column * (width + _GAP), _TOP + row * (_PANEL_HEIGHT + _GAP))
        _draw_panel(root, corner, width, by_region[region], COLOURS[number], most)
        _text(root, corner[0] + 10, corner[1] + 20, region)
    return tostring(root, encoding="unicode")


def _draw_panel(
    root: Element,
    corner: tuple[float, float],
    width: float,
    lines: Mapping[tuple[Place, Place], int],
    colour: str,
    most: int,
) -> None:
    """Draw the part of the map that shows one region, the widest line for `most` trips."""
    left, top = corner
    panel: dict[str, Any] = {"class": "panel", "width": width, "height": _PANEL_HEIGHT}
    _shape(root, "rect", x=left, y=top, rx=6, **panel)
    places = [end for ends in lines for end in ends]
    centre = (left + width / 2, top + _PANEL_HEIGHT / 2)
    place, pixels = _projection(places, centre, width - 40, _PANEL_HEIGHT - 70)
    for (origin, destination), trips in sorted(lines.items(), key=lambda item: item[1]):
        (x1, y1), (x2, y2) = place(origin), place(destination)
        share, hint = trips / most, f"{trips:,} trips"
        if origin == destination:
            radius = 1.5 + 7 * math.sqrt(share)
            _shape(root, "circle", hint, cx=x1, cy=y1, r=radius, fill=colour, fill_opacity=0.55)
            continue
        style: dict[str, Any] = {
            "stroke": colour,
            "stroke_width": 0.6 + 4.4 * share,
            "stroke_opacity": 0.25 + 0.5 * share,
            "stroke_linecap": "round",
        }
        _shape(root, "line", hint, x1=x1, y1=y1, x2=x2, y2=y2, **style)
    kilometres = _KM_OF_A_DEGREE / pixels
    wanted = width / 4 * kilometres
    unit = 10 ** math.floor(math.log10(wanted))
    length = max(unit * step for step in (1, 2, 5) if unit * step <= wanted)
    x, y, long = left + 12, top + _PANEL_HEIGHT - 14, length / kilometres
    path = f"M{x:.1f} {y - 4:.1f}v4h{long:.1f}v-4"
    _shape(root, "path", d=path, stroke="currentColor", fill="none")
    _text(root, x + long + 6, y, f"{length:g} km", css="faint")


def _projection(
    places: Sequence[Place], centre: tuple[float, float], width: float, height: float
) -> tuple[Callable[[Place], tuple[float, float]], float]:
    """From degrees to pixels around `centre`, and how many pixels a degree of latitude has."""
    longitudes, latitudes = zip(*places, strict=True)
    middle = ((min(longitudes) + max(longitudes)) / 2, (min(latitudes) + max(latitudes)) / 2)
    # On a piece as small as a region the earth is flat enough.
    narrowing = max(math.cos(math.radians(middle[1])), 0.01)
    wide = max((max(longitudes) - min(longitudes)) * narrowing, _LEAST_DEGREES)
    high = max(max(latitudes) - min(latitudes), _LEAST_DEGREES)
    pixels = min(width / wide, height / high)

    def place(of: Place) -> tuple[float, float]:
        x = centre[0] + (of[0] - middle[0]) * narrowing * pixels
        return x, centre[1] - (of[1] - middle[1]) * pixels

    return place, pixels


def trips_by_week(by_region: Mapping[str, WeeklyTrips]) -> str:
    """A chart of the trips of each week, a bar for each, regions on top of one another.

    The regions with the most trips have a colour each, the others one together.
    """
    root = _picture(_CHART_HEIGHT, "Trips per week", by_region)
    weeks = sorted({week for weekly in by_region.values() for week, _ in weekly.weeks})
    if not weeks:
        return tostring(root, encoding="unicode")
    series = [(name, dict(weekly.weeks)) for name, weekly in by_region.items()]
    others = [values for _, values in series[len(COLOURS) :]]
    series = series[: len(COLOURS)]
    colours = [*COLOURS[: len(series)], OTHER_COLOUR]
    if others:
        together = {week: sum(part.get(week, 0) for part in others) for week in weeks}
        series.append(("others", together))
    most = max(sum(values.get(week, 0) for _, values in series) for week in weeks)
    unit = 10 ** math.floor(math.log10(max(most, 1) / 4 or 1))
    step = next(unit * size for size in (1, 2, 5, 10) if unit * size * 4 >= most)
    marks = [step * number for number in range(math.ceil(most / step) + 1)]
    high = _CHART_HEIGHT - _TOP - _BOTTOM
    for mark in marks:
        y = _TOP + high - mark / marks[-1] * high
        _shape(root, "path", **{"class": "rule"}, d=f"M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}")
        _text(root, _LEFT - 8, y + 4, f"{mark:,.15g}", css="faint", anchor="end")
    count = (weeks[-1] - weeks[0]) // timedelta(days=7) + 1
    wide = (_WIDTH - _LEFT - _RIGHT) / count
    for week in weeks:
        x = _LEFT + (week - weeks[0]) // timedelta(days=7) * wide + wide * 0.08
        bottom = float(_TOP + high)
        for (name, values), colour in zip(series, colours, strict=False):
            if trips := values.get(week, 0):
                tall = trips / marks[-1] * high
                bottom -= tall
                size = {"width": wide * 0.84, "height": tall}
                hint = f"{_printable(name)}, week of {week}: {trips:,} trips"
                _shape(root, "rect", hint, x=x, y=bottom, **size, fill=colour)
    for number in range(0, count, math.ceil(count / 9)):
        day = (weeks[0] + number * timedelta(days=7)).isoformat()
        x = _LEFT + (number + 0.5) * wide
        _text(root, x, _TOP + high + 18, day, css="faint", anchor="middle")
    wide = (_WIDTH - _LEFT - _RIGHT) / max(len(series), 4)
    for number, ((name, _), colour) in enumerate(zip(series, colours, strict=False)):
        x, y = _LEFT + number * wide, _CHART_HEIGHT - 18
        _shape(root, "rect", x=x, y=y - 10, width=12, height=12, rx=2, fill=colour)
        _text(root, x + 18, y, name)
    return tostring(root, encoding="unicode")


def _picture(height: int, title: str, regions: Iterable[str]) -> Element:
    """A picture with its title above, that says so if there are no `regions` to show."""
    names = [_printable(region) for region in regions]
    size = {"viewBox": f"0 0 {_WIDTH} {height}", "width": str(_WIDTH), "height": str(height)}
    root = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size})
    SubElement(root, "title").text = title
    SubElement(root, "desc").text = f"Regions: {', '.join(names)}"
    SubElement(root, "style").text = _STYLE
    _text(root, 16, 26, title, css="title")
    if not names:
        _text(root, 16, 70, "There are no trips yet.", css="faint")
    return root


def _shape(parent: Element, kind: str, hint: str = "", **attributes: object) -> None:
    """A shape of the given kind; `hint` is shown when it is pointed at."""
    values = {name.replace("_", "-"): _plain(value) for name, value in attributes.items()}
    element = SubElement(parent, kind, values)
    if hint:
        SubElement(element, "title").text = hint


def _text(
    parent: Element, x: float, y: float, words: str, css: str = "", anchor: str = "start"
) -> None:
    """Words that begin, end or are centred at a place."""
    element = SubElement(parent, "text", {"x": _plain(x), "y": _plain(y), "text-anchor": anchor})
    if css:
        element.set("class", css)
    element.text = _printable(words)


def _printable(words: str) -> str:
    """`words` without the characters that XML cannot hold."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def _plain(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
