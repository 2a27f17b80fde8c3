"""Pictures of trips: what they show, and that nothing in a name gets out of its place."""

import re
from datetime import date, timedelta
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from warehouse_assets.api.charts import COLOURS, OTHER_COLOUR, Line, trips_by_week, trips_map
from warehouse_assets.defs.trips.answers import WeeklyTrips

SVG = "{http://www.w3.org/2000/svg}"
HERE, THERE, NEAR = (14.4, 50.0), (14.5, 50.1), (14.41, 50.01)
MONDAY = date(2018, 4, 30)
HOSTILE = [
    "</text><script>alert(1)</script>",
    "\"'&<>]]>",
    "<!--",
    "<![CDATA[",
    "&xxe;",
    "a\0b\x1b[31m\x7f\ufffe",
    "line\nbreak\ttab",
    "\u202egnirts",
    "url(http://example.com/x)",
    "日本語 ÄÖ 🚲",
    "",
    "x" * 3000,
]


def read(picture: str) -> Element:
    """The picture as a program reads it; nothing in it is from elsewhere, nothing is run."""
    root = ElementTree.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    assert {element.tag for element in root.iter()} <= {
        SVG + name
        for name in ("svg", "title", "desc", "style", "text", "rect", "circle", "line", "path")
    }
    for element in root.iter():
        names = set(element.attrib)
        assert not any(name.startswith("on") or "href" in name or name == "src" for name in names)
        assert "url(" not in " ".join(element.attrib.values())
    (style,) = root.iter(f"{SVG}style")
    assert not re.search(r"@import|url\(|https?:", style.text or "")
    assert "<!" not in picture
    return root


def words(root: Element) -> list[str]:
    """The texts that are shown."""
    return [text.text or "" for text in root.iter(f"{SVG}text")]


def hint(element: Element) -> str:
    return element.findtext(f"{SVG}title") or ""


def bars(root: Element) -> list[Element]:
    """Rectangles that say what they stand for."""
    return [bar for bar in root.iter(f"{SVG}rect") if hint(bar)]


def number(element: Element, name: str) -> float:
    return float(element.get(name, "0"))


def bottom(bar: Element) -> float:
    return number(bar, "y") + number(bar, "height")


def weekly(*trips: int) -> WeeklyTrips:
    """Trips of weeks from 2018-04-30 on."""
    return WeeklyTrips([(MONDAY + timedelta(weeks=n), count) for n, count in enumerate(trips)])


def test_a_picture_of_nothing_says_so() -> None:
    for picture in (trips_map([]), trips_by_week({})):
        root = read(picture)
        assert "There are no trips yet." in words(root)
        assert not {f"{SVG}circle", f"{SVG}line"} & {element.tag for element in root.iter()}
        assert bars(root) == []


def test_a_region_of_any_name_is_shown_as_it_is_called() -> None:
    for name in HOSTILE:
        on_map = read(trips_map([Line(name, HERE, THERE, 3)]))
        on_chart = read(trips_by_week({name: weekly(3)}))
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
        for root in (on_map, on_chart):
            assert shown in words(root)
            assert root.findtext(f"{SVG}desc") == f"Regions: {shown}"
        assert [hint(bar) for bar in bars(on_chart)] == [f"{shown}, week of 2018-04-30: 3 trips"]


def test_a_line_goes_from_origin_to_destination_and_a_dot_stays_where_it_is() -> None:
    root = read(trips_map([Line("A", HERE, THERE, 8), Line("A", NEAR, NEAR, 2)]))
    (line,), (dot,) = root.iter(f"{SVG}line"), root.iter(f"{SVG}circle")
    # North is up and east is right.
    assert number(line, "x1") < number(dot, "cx") < number(line, "x2")
    assert number(line, "y1") > number(line, "y2")
    assert (hint(line), hint(dot)) == ("8 trips", "2 trips")


def test_groups_of_several_hours_are_one_line_and_more_trips_a_wider_one() -> None:
    groups = [(HERE, THERE, 4), (HERE, THERE, 1000), (NEAR, THERE, 502)]
    root = read(trips_map(Line("A", *group) for group in groups))
    widths = {hint(line): number(line, "stroke-width") for line in root.iter(f"{SVG}line")}
    # From 0.6 to 5 pixels by the share of the greatest.
    assert widths == {"1,004 trips": pytest.approx(5.0), "502 trips": pytest.approx(2.8)}


def test_places_anywhere_on_earth_are_in_the_picture() -> None:
    for ends in (
        ((-180.0, -85.0), (180.0, 85.0)),
        ((0.0, 90.0), (1.0, 90.0)),
        ((14.4, 50.0), (14.4, 50.0000001)),
        ((179.9, -89.9), (179.9, -89.9)),
    ):
        root = read(trips_map([Line("A", *ends, 1)]))
        _, _, width, height = (float(side) for side in root.get("viewBox", "").split())
        for shape in root.iter():
            assert all(0 <= number(shape, n) <= width for n in ("x1", "x2", "cx"))
            assert all(0 <= number(shape, n) <= height for n in ("y1", "y2", "cy"))


def test_a_bar_is_as_tall_as_its_week_has_trips_and_stands_on_the_one_before() -> None:
    root = read(trips_by_week({"A": weekly(30, 0, 15), "B": weekly(10)}))
    tall, half, upper = sorted(bars(root), key=lambda bar: -number(bar, "height"))
    assert hint(tall) == "A, week of 2018-04-30: 30 trips"
    assert hint(half) == "A, week of 2018-05-14: 15 trips"
    assert number(tall, "height") == pytest.approx(2 * number(half, "height"), abs=0.01)
    assert bottom(tall) == pytest.approx(bottom(half), abs=0.02)
    assert bottom(upper) == pytest.approx(number(tall, "y"), abs=0.02)
    assert [bar.get("fill") for bar in (tall, half, upper)] == [COLOURS[0], *COLOURS[:2]]
    assert {"0", "10", "20", "30", "40"} <= set(words(root))


def test_regions_beyond_the_colours_are_one_together() -> None:
    root = read(trips_by_week({f"region {n}": weekly(1) for n in range(len(COLOURS) + 3)}))
    *others, last = bars(root)
    assert [bar.get("fill") for bar in others] == list(COLOURS)
    assert (last.get("fill"), hint(last)) == (OTHER_COLOUR, "others, week of 2018-04-30: 3 trips")
    assert "others" in words(root)
