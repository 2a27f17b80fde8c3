"""How charts are made of declarations and rows; `api/test_charts.py` is about those served."""

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import anyio
import pytest

from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS
from warehouse_assets.charts import PLAIN, Style, draw, specification, tables_named, values_of
from warehouse_assets.drawing import chart_of, specified
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import view
from warehouse_assets.lake import Lake
from warehouse_assets.questions import Chart
from warehouse_assets.settings import Settings
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets_tests.lake.tables import VISITS, Stored

_BARS: Chart = {
    "mark": "bar",
    "encoding": {"y": {"field": "vet"}, "x": {"field": "patients", "type": "quantitative"}},
}


def drawn(spec: dict[str, Any]) -> str:
    return anyio.run(draw, json.dumps(spec).encode(), "svg").decode()


def bars(rows: list[Any], style: Style = PLAIN) -> dict[str, Any]:
    values = values_of(["vet", "patients"], rows)
    return specification(_BARS, "How many patients?", lambda _: values, style)


def labels(svg: str) -> list[str]:
    """What is said of each mark."""
    return [
        found.attrib["aria-label"]
        for found in ElementTree.fromstring(svg).iter()
        if found.get("aria-roledescription") == "bar"
    ]


def test_bars_have_the_values_of_the_rows_and_are_as_long() -> None:
    svg = drawn(bars([("Ann", 4), ("Bob", 8), ("Cid", None)]))
    assert labels(svg)[:2] == ["patients: 4; vet: Ann", "patients: 8; vet: Bob"]
    paths = [
        found.attrib["d"]
        for found in ElementTree.fromstring(svg).iter()
        if found.get("aria-roledescription") == "bar"
    ]
    # A path of a bar is M left,top h width v height h -width Z.
    widths = [float(path.partition("h")[2].partition("v")[0]) for path in paths[:2]]
    assert widths[1] == pytest.approx(2 * widths[0])


@pytest.mark.parametrize("character", ["\0", "\x01", "\x1b", "\ud800", "\ufffe", "\uffff"])
def test_text_that_xml_cannot_hold_is_shown_as_another_character(character: str) -> None:
    svg = drawn(bars([(f"<b>&\"'{character}", 4)]))
    assert labels(svg) == ["patients: 4; vet: <b>&\"'\N{REPLACEMENT CHARACTER}"]


def test_what_ends_the_process_that_draws_ends_no_other_and_the_next_chart_is_drawn() -> None:
    rows = {"values": [{"vet": "\x01", "patients": 4}]}  # not as `values_of` has it

    async def two() -> bytes:
        with pytest.raises(anyio.BrokenWorkerProcess):
            await draw(json.dumps({**bars([]), "data": rows}).encode(), "svg")
        return await draw(json.dumps(bars([("Ann", 4)])).encode(), "svg")

    assert labels(anyio.run(two).decode()) == ["patients: 4; vet: Ann"]


def test_a_chart_is_as_wide_as_it_is_wanted_and_its_text_is_large_enough() -> None:
    for width in (240, 390, 720, 2000):
        for style, background in (
            (Style(width), "#ffffff"),
            (Style(width, "dark"), "#16181c"),
        ):
            spec = bars([("Ann", 4), ("Bob", 8)], style)
            root = ElementTree.fromstring(drawn(spec))
            assert root.attrib["width"] == str(width)
            assert next(iter(root)).get("fill") == background
            sizes = [found.get("font-size") for found in root.iter()]
            assert min(int(size.removesuffix("px")) for size in sizes if size) >= 11


def test_a_declaration_has_neither_data_nor_addresses() -> None:
    data = {"values": [{"vet": "Eve", "patients": 99}]}
    for wrong in (
        {**_BARS, "data": data},
        {"layer": [{**_BARS, "data": data}]},
        {"layer": [{**_BARS, "data": {"url": "file:///etc/passwd"}}]},
        {"mark": {"type": "image", "url": "http://127.0.0.1/x.png"}},
        {"mark": "image", "encoding": {"url": {"field": "vet"}}},
    ):
        with pytest.raises(TypeError):
            specification(wrong, "?", lambda _: {"values": []})


def test_drawing_asks_no_server_for_anything() -> None:
    asked = []

    class Counting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/rows.json"
        with pytest.raises(ValueError, match="not allowed"):
            drawn({**bars([]), "data": {"url": url}})
        server.shutdown()
    assert asked == []


def test_other_tables_of_a_chart_are_named_once() -> None:
    layer = {**_BARS, "data": {"name": "votes"}}
    assert tables_named({"layer": [layer, _BARS, layer]}) == ["votes"]


def test_every_answer_has_a_chart_that_is_headed_by_its_question() -> None:
    assert all(map(chart_of, ANSWER_TABLES))
    assert all(map(chart_of, QUESTIONS))
    with pytest.raises(UsageError, match="rejected_records"):
        chart_of(REJECTED_RECORDS)


@pytest.fixture
def visits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What specifies a chart of visits, of which there are three."""
    lake = Lake(tmp_path / "lake", tmp_path / "scratch", 10**9)
    stored = Stored(lake, VISITS)
    stored.append([("Ann", "2022-01-03", 4), ("Bob", "2022-01-03", 8), ("Cid", "2022-01-04", 2)])
    settings = Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)})

    def specify(chart: Chart, **options: Any) -> Any:
        monkeypatch.setitem(VISITS.info, "chart", chart)
        with lake.connect() as connection:
            view(lake, connection, [VISITS], {"visits": stored.table.open()})
            return json.loads(specified(connection, VISITS, settings, **options))

    return specify


def test_a_chart_of_more_rows_than_it_shows_says_of_how_many_they_are_the_first(
    visits: Any,
) -> None:
    short = {**_BARS, "usermeta": {"first_rows": 2}}
    for found in (visits(short), visits(_BARS, limit=2), visits(short, limit=2)):
        assert [row["vet"] for row in found["data"]["values"]] == ["Ann", "Bob"]
        assert found["title"]["subtitle"] == "The first 2 of 3 rows."
    everything = visits(_BARS, notes=["As of yesterday."])
    assert [row["patients"] for row in everything["data"]["values"]] == [4, 8, 2]
    assert everything["data"]["values"][0]["day"] == "2022-01-03"
    assert everything["title"]["subtitle"] == "As of yesterday."


def test_a_chart_of_too_many_rows_is_refused(visits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse_assets.charts.MOST_ROWS", 2)
    with pytest.raises(UsageError, match=r"at most 2 rows, and these are 3"):
        visits(_BARS)
    assert len(visits(_BARS, limit=3)["data"]["values"]) == 3


def test_many_charts_are_drawn_at_once_by_one_process_while_others_go_on() -> None:
    async def several() -> list[bytes]:
        limiter, found = anyio.CapacityLimiter(1), []

        async def one(number: int) -> None:
            spec = json.dumps(bars([("Ann", number)])).encode()
            found.append(await draw(spec, "png" if number % 2 else "svg", limiter))

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(partial(one, number))
        return found

    found = anyio.run(several)
    assert sum(picture.startswith(b"\x89PNG") for picture in found) == 3
    assert sum(picture.startswith(b"<svg") for picture in found) == 3
