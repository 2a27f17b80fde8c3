"""The charts of answers, as the service has them; `test_charts.py` is about how they are made."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from xml.etree import ElementTree

import anyio
import pytest

from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS
from warehouse_assets.charts import draw
from warehouse_assets.defs.deliveries.tables import DELIVERY_DURATIONS
from warehouse_assets.defs.forum.tables import MEAN_VOTES_PER_POST_PER_WEEK, OUTLIER_WEEKS
from warehouse_assets.defs.reviews.tables import REVIEWS_PER_MONTH
from warehouse_assets.defs.school.tables import BATCH_COMPLETIONS
from warehouse_assets.defs.trips.tables import TRIP_GROUPS, WEEKLY_TRIPS
from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import publish, warehouse_at
from warehouse_assets_tests.api.reviewing import KINDS
from warehouse_assets_tests.api.serving import Served, assert_is_problem, serving, settings_of
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.postgres import postgres_url

_AT = datetime.fromisoformat("2018-06-01T09:03:40")
_DAYS = [date(2018, 5, 28), date(2018, 6, 4), date(2018, 6, 11)]
_ROWS: dict[Any, list[Any]] = {
    MEAN_VOTES_PER_POST_PER_WEEK: [
        (_DAYS[0], 6, 2, 3.0, 4, 1.5),
        (_DAYS[1], 0, 0, None, 4, 0.0),
        (_DAYS[2], 2, 1, 2.0, 5, 0.4),
    ],
    OUTLIER_WEEKS: [(2018, 22, 6, _DAYS[0]), (2018, 24, 2, _DAYS[2])],
    BATCH_COMPLETIONS: [
        (1, "ninjas", 4, 2, 0.5, 2, 3, 2, 0.5),
        (2, "twins", 5, 4, 0.8, 1, 3, 4, 0.8),
        (3, "twins", 3, 1, 0.3, 3, 3, 1, 0.3),
        (4, None, 0, 0, None, 4, 3, 0, None),
    ],
    WEEKLY_TRIPS: [
        *((f"r{n}", _DAYS[0], "cheap_mobile", 10 - n, _AT) for n in range(9)),
        ("r0", _DAYS[0], "funny_car", 5, _AT),
        ("r0", _DAYS[2], "funny_car", 7, _AT),
    ],
    TRIP_GROUPS: [("r0", 1, 2, 3, 4, 8, 3, _AT, _AT), ("r1", 1, 2, 3, 4, 9, 5, _AT, _AT)],
    REVIEWS_PER_MONTH: [
        (date(2018, 5, 1), 9, 2.2, 3, 2, 1, 0, 1, 7),
        (date(2018, 7, 1), 1, None, 0, 0, 0, 0, 0, 0),
    ],
    DELIVERY_DURATIONS: [(1, _AT, _AT, 60.0, 1), (2, _AT, _AT, 240.0, 2)],
}


@pytest.fixture(scope="module", params=KINDS)
def served(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service over a warehouse with a few rows for each answer."""
    environment = {"WAREHOUSE_URL": postgres_url()} if request.param == "postgresql" else {}
    settings = settings_of(tmp_path_factory.mktemp("charts"), **environment)
    lake = Lake(settings.lake, settings.scratch, 10**9)
    for table, rows in _ROWS.items():
        Stored(lake, table).append(rows)
        publish(lake, warehouse_at(settings.warehouse_url), lake.table(table))
    with serving(settings) as found:
        yield found


def get(served: Served, name: str, query: str = "", **options: Any) -> Any:
    return served.client.get(f"{served.address}/answers/{name}{query}", **options)


def marks(svg: bytes, *kinds: str) -> list[str]:
    """What is said of the marks of a picture, in their order."""
    return [
        found.attrib["aria-label"]
        for found in ElementTree.fromstring(svg).iter()
        if found.get("aria-roledescription") in (kinds or ("bar",))
    ]


_EXPECTED: dict[str, list[str]] = {
    "outlier_weeks": [
        "Week of 2018-05-28: 6 votes",
        "Week of 2018-06-04: 0 votes",
        "Week of 2018-06-11: 2 votes",
        # Those that are unusual, once more and above the others.
        "Week of 2018-05-28: 6 votes",
        "Week of 2018-06-11: 2 votes",
        # Of the weeks with votes.
        "Votes per week: 4",
    ],
    "batch_completions": [
        "Students: 4; batch: twins 2",
        "Students: 2; batch: ninjas",
        "Students: 1; batch: twins 3",
        "Students: 0; batch: batch 4",
    ],
    "weekly_trips": [
        "Week of 2018-05-28: 15 trips, r0",
        *(f"Week of 2018-05-28: {10 - n} trips, r{n}" for n in range(1, 7)),
        "Week of 2018-05-28: 5 trips, others",  # 3 of r7 and 2 of r8
        "Week of 2018-06-11: 7 trips, r0",
    ],
    "reviews_per_month": [
        f"{month} 2018: {rated} reviews with stars: {stars}"
        for month, counts in (("May", (3, 2, 1, 0, 1)), ("July", (0, 0, 0, 0, 0)))
        for stars, rated in enumerate(counts, 1)
    ],
    "most_travelled_groups": [
        "Trips: 5; group: r1 1/2 → 3/4, 9 h",
        "Trips: 3; group: r0 1/2 → 3/4, 8 h",
    ],
    "regions_with_cheap_mobile": [f"Trips: {10 - n}; region: r{n}" for n in range(9)],
    "average_duration_of_deliveries": [
        "Minutes from step 1 to step 4: 1; which: shortest",
        "Minutes from step 1 to step 4: 2.5; which: average",
        "Minutes from step 1 to step 4: 4; which: longest",
    ],
}


@pytest.mark.parametrize("name", _EXPECTED)
def test_a_chart_shows_the_values_of_its_answer(served: Served, name: str) -> None:
    response = get(served, name, "/chart.svg")
    assert response.headers["Content-Type"] == "image/svg+xml", response.text
    found = marks(response.content, "bar", "rule mark")
    if name == "outlier_weeks":  # whose marks are in layers
        assert found == _EXPECTED[name]
    else:
        assert sorted(found) == sorted(_EXPECTED[name])
    assert b"subtitle" not in response.content


def test_means_are_points_of_two_lines_with_a_gap_where_there_is_none(served: Served) -> None:
    found = marks(get(served, "mean_votes_per_post_per_week", "/chart.svg").content, "point")
    told = {tuple(part.partition(": ")[2] for part in each.split("; ")) for each in found}
    voted, existing = "posts that got votes", "all posts there were"
    assert told >= {
        ("May 28, 2018", "3", voted),
        ("Jun 11, 2018", "2", voted),
        ("May 28, 2018", "1.5", existing),
        ("Jun 04, 2018", "0", existing),
        ("Jun 11, 2018", "0.4", existing),
    }


def test_of_the_two_most_common_regions_each_has_its_latest_datasource(served: Served) -> None:
    svg = get(served, "latest_datasource_of_the_two_most_common_regions", "/chart.svg").content
    texts = [text for text in ElementTree.fromstring(svg).itertext() if text.strip()]
    assert {"cheap_mobile", "funny_car", "r0", "r1"} <= set(texts)


def test_a_chart_is_of_the_rows_that_meet_conditions(served: Served) -> None:
    svg = get(served, "weekly_trips", "/chart.svg?region=r0&week_start.gt=2018-06-01").content
    assert marks(svg) == ["Week of 2018-06-11: 7 trips, r0"]
    first = get(served, "batch_completions", "/chart.svg?limit=1&theme=dark&width=390")
    root = ElementTree.fromstring(first.content)
    assert marks(first.content) == ["Students: 4; batch: twins"]
    assert "The first 1 of 4 rows." in "".join(root.itertext())
    assert root.attrib["width"] == "390"
    nothing = get(served, "weekly_trips", "/chart.svg?region=Atlantis")
    assert marks(nothing.content) == []
    assert "There are no rows." in nothing.text
    then = get(served, "weekly_trips", "/chart.svg?region=r3&as_of=now")
    assert marks(then.content) == ["Week of 2018-05-28: 7 trips, r3"]
    assert "As of now." in then.text


def test_a_png_is_twice_as_large(served: Served) -> None:
    response = get(served, "batch_completions", "/chart.png?width=390")
    assert response.headers["Content-Type"] == "image/png"
    assert response.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(response.content[16:20], "big") == 780


@pytest.mark.parametrize("asked", [*ANSWER_TABLES, *QUESTIONS], ids=lambda asked: str(asked.name))
def test_a_page_draws_the_same_from_the_rows_that_the_specification_leads_to(
    served: Served, asked: Any
) -> None:
    spec = get(served, asked.name, "/chart.json").json()

    def with_rows(part: Any) -> Any:
        """What a browser makes of it, which fetches the rows."""
        if isinstance(part, list):
            return [with_rows(inner) for inner in part]
        if not isinstance(part, dict):
            return part
        if "url" not in part:
            return {name: with_rows(inner) for name, inner in part.items()}
        response = served.client.get(served.address + part["url"])
        assert response.status_code == 200, response.text
        return {"values": response.text, "format": part["format"]}

    drawn = anyio.run(draw, json.dumps(with_rows(spec)).encode(), "svg")
    kinds = ("bar", "point", "rule mark", "text mark")
    served_one = marks(get(served, asked.name, "/chart.svg").content, *kinds)
    assert marks(drawn, *kinds) == served_one != []


def test_a_specification_keeps_conditions_and_says_how_many_rows_there_are(
    served: Served,
) -> None:
    spec = get(served, "batch_completions", "/chart.json?students.gt=3&theme=dark").json()
    assert spec["data"]["url"] == "/answers/batch_completions?format=csv&students.gt=3&limit=30"
    assert spec["title"]["subtitle"] == "At most the first 30 rows."
    spec = get(served, "outlier_weeks", "/chart.json?as_of=2018-01-01").json()
    urls = [layer["data"]["url"] for layer in spec["layer"] if "data" in layer]
    assert urls == ["/tables/mean_votes_per_post_per_week?format=csv&as_of=2018-01-01"] * 2


def test_a_chart_that_is_known_is_not_sent_again(served: Served) -> None:
    for kind in ("svg", "png", "json"):
        first = get(served, "outlier_weeks", f"/chart.{kind}")
        headers = {"If-None-Match": first.headers["ETag"]}
        again = get(served, "outlier_weeks", f"/chart.{kind}", headers=headers)
        assert (again.status_code, again.content) == (304, b"")


def test_what_cannot_be_drawn_is_told(served: Served) -> None:
    for path, status, words in [
        ("outlier_weeks/chart.jpg", 404, "svg, png, json"),
        ("nothing/chart.svg", 404, "/answers"),
        ("outlier_weeks/chart.svg?select=votes", 422, "columns"),
        ("outlier_weeks/chart.svg?width=100", 422, "240"),
        ("outlier_weeks/chart.svg?theme=pink", 422, "light"),
        ("outlier_weeks/chart.svg?format=csv", 422, "width"),
        ("regions_with_cheap_mobile/chart.svg?limit=1", 422, "theme"),
        ("outlier_weeks/chart.svg?as_of=2018-01-01", 422, "2018-01-01"),
    ]:
        assert_is_problem(get(served, path), status, words)


def test_without_a_declaration_there_is_no_chart(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(OUTLIER_WEEKS.info, "chart")
    response = get(served, "outlier_weeks", "/chart.svg?width=401")
    assert_is_problem(response, 404, "No chart is declared for outlier_weeks")


def test_before_a_table_is_published_its_chart_says_when_to_come_again(shared: Served) -> None:
    assert_is_problem(get(shared, "outlier_weeks", "/chart.svg"), 503)
