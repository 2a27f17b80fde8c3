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
    " " * 20,
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


def found(root: Element, name: str) -> list[Element]:
    return list(root.iter(SVG + name))


def words(root: Element) -> list[str]:
    """The texts that are shown."""
    return [text.text or "" for text in found(root, "text")]


def bars(root: Element) -> list[Element]:
    """Rectangles that say what they stand for."""
    return [bar for bar in found(root, "rect") if bar.find(f"{SVG}title") is not None]


def hint(element: Element) -> str:
    return element.findtext(f"{SVG}title") or ""


def weekly(*trips: int) -> WeeklyTrips:
    """Trips of weeks from 2018-04-30 on."""
    return WeeklyTrips([(MONDAY + timedelta(weeks=n), count) for n, count in enumerate(trips)])


def shown_as(name: str) -> str:
    """A name without characters that are no writing."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def test_a_picture_of_nothing_says_so() -> None:
    for picture in (trips_map([]), trips_by_week({})):
        root = read(picture)
        assert "There are no trips yet." in words(root)
        assert found(root, "circle") == found(root, "line") == bars(root) == []


def test_a_region_of_any_name_is_shown_as_it_is_called() -> None:
    for name in HOSTILE:
        on_map = read(trips_map([Line(name, HERE, THERE, 3)]))
        on_chart = read(trips_by_week({name: weekly(3)}))

        for root in (on_map, on_chart):
            assert shown_as(name) in words(root)
            assert root.findtext(f"{SVG}desc") == f"Regions: {shown_as(name)}"
        told = [hint(bar) for bar in bars(on_chart)]
        assert told == [f"{shown_as(name)}, week of 2018-04-30: 3 trips"]


def test_a_line_goes_from_origin_to_destination_and_a_dot_stays_where_it_is() -> None:
    root = read(trips_map([Line("A", HERE, THERE, 8), Line("A", NEAR, NEAR, 2)]))

    (line,), (dot,) = found(root, "line"), found(root, "circle")
    # North is up and east is right.
    assert float(line.get("x1", "")) < float(line.get("x2", ""))
    assert float(line.get("y1", "")) > float(line.get("y2", ""))
    assert float(line.get("x1", "")) < float(dot.get("cx", "")) < float(line.get("x2", ""))
    assert (hint(line), hint(dot)) == ("8 trips", "2 trips")


def test_groups_of_several_hours_are_one_line_and_more_trips_a_wider_one() -> None:
    root = read(
        trips_map(
            [Line("A", HERE, THERE, 4), Line("A", HERE, THERE, 1000), Line("A", NEAR, THERE, 502)]
        )
    )

    widths = {hint(line): float(line.get("stroke-width", "")) for line in found(root, "line")}
    # From 0.6 to 5 pixels by the share of the greatest.
    assert widths == {"1,004 trips": pytest.approx(5.0), "502 trips": pytest.approx(2.8)}


def panels(root: Element) -> list[Element]:
    return [rect for rect in found(root, "rect") if rect.get("class") == "panel"]


def test_places_anywhere_on_earth_are_in_the_picture() -> None:
    for ends in (
        ((-180.0, -85.0), (180.0, 85.0)),
        ((0.0, 90.0), (1.0, 90.0)),
        ((14.4, 50.0), (14.4, 50.0000001)),
        ((179.9, -89.9), (179.9, -89.9)),
    ):
        root = read(trips_map([Line("A", *ends, 1)]))
        _, _, width, height = (float(side) for side in root.get("viewBox", "").split())
        for shape in (*found(root, "line"), *found(root, "circle"), *panels(root)):
            assert all(0 <= float(shape.get(n, 0)) <= width for n in ("x1", "x2", "cx", "x"))
            assert all(0 <= float(shape.get(n, 0)) <= height for n in ("y1", "y2", "cy", "y"))


def test_a_bar_is_as_tall_as_its_week_has_trips() -> None:
    root = read(trips_by_week({"A": weekly(40, 0, 20)}))

    tall, half = bars(root)
    assert hint(tall) == "A, week of 2018-04-30: 40 trips"
    assert hint(half) == "A, week of 2018-05-14: 20 trips"
    assert float(tall.get("height", "")) == pytest.approx(
        2 * float(half.get("height", "")), abs=0.01
    )
    # Both stand on the axis.
    bottoms = {float(b.get("y", "")) + float(b.get("height", "")) for b in (tall, half)}
    assert max(bottoms) - min(bottoms) < 0.02
    assert {"0", "10", "20", "30", "40"} <= set(words(root))


def test_regions_stand_on_one_another() -> None:
    root = read(trips_by_week({"A": weekly(30), "B": weekly(10)}))

    a, b = bars(root)
    assert float(b.get("y", "")) + float(b.get("height", "")) == pytest.approx(
        float(a.get("y", "")), abs=0.02
    )
    assert float(a.get("height", "")) == pytest.approx(3 * float(b.get("height", "")), abs=0.05)
    assert [a.get("fill"), b.get("fill")] == list(COLOURS[:2])


def test_regions_beyond_the_colours_are_one_together() -> None:
    many = {f"region {n}": weekly(1) for n in range(len(COLOURS) + 3)}

    root = read(trips_by_week(many))

    *others, last = bars(root)
    assert [bar.get("fill") for bar in others] == list(COLOURS)
    assert (last.get("fill"), hint(last)) == (OTHER_COLOUR, "others, week of 2018-04-30: 3 trips")
    assert "others" in words(root)
