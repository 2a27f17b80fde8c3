"""Pictures of trips, as SVG: a map of the most travelled groups and a chart of weekly trips."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from xml.etree.ElementTree import Element

from warehouse_assets.api.svg import COLOURS, OTHER_COLOUR, picture, printable, shape, text, written
from warehouse_assets.defs.trips.areas import WeeklyTrips

_WIDTH = 960
_TOP = 44
_GAP = 12
_PANELS_IN_A_ROW = 3
_MOST_PANELS = 6
_PANEL_HEIGHT = 300
_CHART_HEIGHT = 360
_LEFT, _RIGHT, _BOTTOM = 88, 16, 64
_MOST_REGIONS = len(COLOURS)
_KM_OF_A_DEGREE = 111.32  # of latitude, and of longitude at the equator
_LEAST_DEGREES = 0.02


@dataclass(frozen=True)
class Line:
    """Trips from one place to another; places are longitude and latitude in degrees."""

    region: str
    origin: tuple[float, float]
    destination: tuple[float, float]
    trips: int


def trips_map(groups: Iterable[Line]) -> str:
    """A map of `groups` for each of the regions with the most trips among them.

    A line goes from origin to destination, a dot is trips within one tile; its width and area
    stand for the trips, those of all hours of the day together.
    """
    by_region: dict[str, dict[tuple[tuple[float, float], ...], int]] = {}
    for group in groups:
        lines = by_region.setdefault(group.region, {})
        ends = (group.origin, group.destination)
        lines[ends] = lines.get(ends, 0) + group.trips
    regions = sorted(by_region, key=lambda name: (-sum(by_region[name].values()), name))
    shown = regions[:_MOST_PANELS]
    columns = min(len(shown), _PANELS_IN_A_ROW) or 1
    rows = math.ceil(len(shown) / columns)
    width = (_WIDTH - _GAP * (columns + 1)) / columns
    height = _TOP + rows * (_PANEL_HEIGHT + _GAP) + 8
    title = "The most travelled groups of trips"
    root = picture(_WIDTH, max(height, 120), title, f"Regions: {', '.join(map(printable, shown))}")
    if not shown:
        text(root, 16, 70, "There are no trips yet.", css="faint")
    most = max((trips for lines in by_region.values() for trips in lines.values()), default=1)
    for number, region in enumerate(shown):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (width + _GAP), _TOP + row * (_PANEL_HEIGHT + _GAP)
        panel = _Panel(left, top, width, _PANEL_HEIGHT, by_region[region])
        panel.draw(root, region, COLOURS[number % len(COLOURS)], most)
    return written(root)


@dataclass(frozen=True)
class _Panel:
    """The part of the map that shows one region."""

    left: float
    top: float
    width: float
    height: float
    lines: Mapping[tuple[tuple[float, float], ...], int]

    def draw(self, root: Element, region: str, colour: str, most: int) -> None:
        """Draw it, the widest line standing for `most` trips."""
        shape(
            root,
            "rect",
            **{"class": "panel"},
            x=self.left,
            y=self.top,
            width=self.width,
            height=self.height,
            rx=6,
        )
        place, kilometres = self._projection()
        for ends, trips in sorted(self.lines.items(), key=lambda item: item[1]):
            (x1, y1), (x2, y2) = (place(*end) for end in ends)
            share, hint = trips / most, f"{trips:,} trips"
            if ends[0] == ends[1]:
                radius = 1.5 + 7 * math.sqrt(share)
                shape(root, "circle", hint, cx=x1, cy=y1, r=radius, fill=colour, fill_opacity=0.55)
                continue
            shape(
                root,
                "line",
                hint,
                x1=x1,
                y1=y1,
                x2=x2,
                y2=y2,
                stroke=colour,
                stroke_width=0.6 + 4.4 * share,
                stroke_opacity=0.25 + 0.5 * share,
                stroke_linecap="round",
            )
        text(root, self.left + 10, self.top + 20, region)
        self._draw_scale(root, kilometres)

    def _projection(self) -> tuple["_Place", float]:
        """From degrees to pixels, and how many kilometres a pixel is."""
        places = [end for ends in self.lines for end in ends]
        longitudes, latitudes = [p[0] for p in places], [p[1] for p in places]
        west, east, south, north = (
            min(longitudes),
            max(longitudes),
            min(latitudes),
            max(latitudes),
        )
        middle = ((west + east) / 2, (south + north) / 2)
        # On a piece as small as a region the earth is flat enough.
        narrowing = max(math.cos(math.radians(middle[1])), 0.01)
        wide = max((east - west) * narrowing, _LEAST_DEGREES)
        high = max(north - south, _LEAST_DEGREES)
        pixels = min((self.width - 40) / wide, (self.height - 70) / high)
        centre = (self.left + self.width / 2, self.top + self.height / 2)
        return _Place(middle, centre, narrowing, pixels), _KM_OF_A_DEGREE / pixels

    def _draw_scale(self, root: Element, kilometres: float) -> None:
        wanted = self.width / 4 * kilometres
        unit = 10 ** math.floor(math.log10(wanted))
        length = max(unit * step for step in (1, 2, 5) if unit * step <= wanted)
        x, y = self.left + 12, self.top + self.height - 14
        pixels = length / kilometres
        shape(
            root,
            "path",
            d=f"M{x:.1f} {y - 4:.1f}v4h{pixels:.1f}v-4",
            stroke="currentColor",
            fill="none",
        )
        text(root, x + pixels + 6, y, f"{length:g} km", css="faint")


@dataclass(frozen=True)
class _Place:
    middle: tuple[float, float]
    centre: tuple[float, float]
    narrowing: float
    pixels: float

    def __call__(self, longitude: float, latitude: float) -> tuple[float, float]:
        x = self.centre[0] + (longitude - self.middle[0]) * self.narrowing * self.pixels
        return x, self.centre[1] - (latitude - self.middle[1]) * self.pixels


def trips_by_week(by_region: Mapping[str, WeeklyTrips]) -> str:
    """A chart of the trips of each week, a bar for each, regions on top of one another.

    The regions with the most trips have a colour each, the others one together.
    """
    shown = list(by_region)[:_MOST_REGIONS]
    series = [(name, dict(by_region[name].weeks)) for name in shown]
    others = [dict(weekly.weeks) for name, weekly in by_region.items() if name not in shown]
    weeks = sorted({week for weekly in by_region.values() for week, _ in weekly.weeks})
    if others:
        series.append(
            ("others", {week: sum(part.get(week, 0) for part in others) for week in weeks})
        )
    title = "Trips per week"
    root = picture(_WIDTH, _CHART_HEIGHT, title, f"Regions: {', '.join(map(printable, by_region))}")
    if not weeks:
        text(root, 16, 70, "There are no trips yet.", css="faint")
        return written(root)
    count = (weeks[-1] - weeks[0]) // timedelta(days=7) + 1
    most = max(sum(values.get(week, 0) for _, values in series) for week in weeks)
    scale = _scale_of(most)
    high = _CHART_HEIGHT - _TOP - _BOTTOM
    wide = (_WIDTH - _LEFT - _RIGHT) / count
    _draw_axis(root, scale, high)
    colours = [*COLOURS[: len(shown)], OTHER_COLOUR]
    for week in weeks:
        number = (week - weeks[0]) // timedelta(days=7)
        bottom = float(_TOP + high)
        for (name, values), colour in zip(series, colours, strict=False):
            trips = values.get(week, 0)
            tall = trips / scale[-1] * high
            bottom -= tall
            if trips:
                shape(
                    root,
                    "rect",
                    f"{printable(name)}, week of {week}: {trips:,} trips",
                    x=_LEFT + number * wide + wide * 0.08,
                    y=bottom,
                    width=wide * 0.84,
                    height=tall,
                    fill=colour,
                )
    every = math.ceil(count / 9)
    for number in range(0, count, every):
        x = _LEFT + (number + 0.5) * wide
        day = (weeks[0] + number * timedelta(days=7)).isoformat()
        text(root, x, _TOP + high + 18, day, css="faint", anchor="middle")
    _draw_legend(root, [name for name, _ in series], colours)
    return written(root)


def _scale_of(most: int) -> Sequence[float]:
    """Round numbers from 0 to at least `most`."""
    unit = 10 ** math.floor(math.log10(max(most, 1) / 4 or 1))
    step = next(unit * size for size in (1, 2, 5, 10) if unit * size * 4 >= most)
    return [step * number for number in range(math.ceil(most / step) + 1)]


def _draw_axis(root: Element, scale: Sequence[float], high: float) -> None:
    for value in scale:
        y = _TOP + high - value / scale[-1] * high
        shape(root, "path", **{"class": "rule"}, d=f"M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}")
        text(root, _LEFT - 8, y + 4, f"{value:,.15g}", css="faint", anchor="end")


def _draw_legend(root: Element, names: Sequence[str], colours: Sequence[str]) -> None:
    wide = (_WIDTH - _LEFT - _RIGHT) / max(len(names), 4)
    for number, (name, colour) in enumerate(zip(names, colours, strict=False)):
        x, y = _LEFT + number * wide, _CHART_HEIGHT - 18
        shape(root, "rect", x=x, y=y - 10, width=12, height=12, rx=2, fill=colour)
        text(root, x + 18, y, name)
