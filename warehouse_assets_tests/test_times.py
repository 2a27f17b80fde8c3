"""The same texts are times for every reader, from the source to the row or the reason."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warehouse_assets.defs.deliveries.average import RunningAverage
from warehouse_assets.defs.deliveries.records import RecordError
from warehouse_assets.defs.deliveries.tables import DELIVERIES
from warehouse_assets.defs.school.batches import BatchesSource, load_batches
from warehouse_assets.defs.school.family import STUDENTS_SOURCE
from warehouse_assets.defs.school.tables import BATCHES, STUDENTS
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.lake import Lake
from warehouse_assets.times import BLANKS, read_time, time_expression
from warehouse_assets_tests.defs.deliveries.feeds import Feed
from warehouse_assets_tests.ingest import http_server
from warehouse_assets_tests.ingest.csv_files import HEADER
from warehouse_assets_tests.ingest.csv_files import read as read_trips
from warehouse_assets_tests.ingest.sqlite_databases import make_database
from warehouse_assets_tests.ingest.staging import stage, vote_text
from warehouse_assets_tests.ingest.stored import make_lake, rejected, stored

GOOD = {
    # seconds, minutes, or the date alone
    "2018-05-28T09:03:40": "2018-05-28 09:03:40",
    "2018-05-28 09:03:40": "2018-05-28 09:03:40",
    "2018-05-28T09:03": "2018-05-28 09:03:00",
    "2018-05-28 09:03": "2018-05-28 09:03:00",
    "2018-05-28": "2018-05-28 00:00:00",
    "2020-02-29T23:59:59": "2020-02-29 23:59:59",
    "2018-05-28T20:03:40": "2018-05-28 20:03:40",
    "0001-01-01T00:00:00": "0001-01-01 00:00:00",
    # fractions, cut to microseconds
    "2018-05-28T09:03:40.5": "2018-05-28 09:03:40.500000",
    "2018-05-28T09:03:40.678": "2018-05-28 09:03:40.678000",
    "2018-05-28T23:03:40.678": "2018-05-28 23:03:40.678000",
    "2018-05-28T09:03:40.000": "2018-05-28 09:03:40",
    "2018-05-28T09:03:40.120": "2018-05-28 09:03:40.120000",
    "2018-05-28 09:03:40.500": "2018-05-28 09:03:40.500000",
    "2018-05-28 09:03:40,678": "2018-05-28 09:03:40.678000",
    "2018-05-28T09:03:40.123456": "2018-05-28 09:03:40.123456",
    "2018-05-28T09:03:40.999999999": "2018-05-28 09:03:40.999999",
    "2018-05-28T09:03:40.00000099999999999999999999": "2018-05-28 09:03:40",
    # zones
    "2018-05-28T09:03Z": "2018-05-28 09:03:00",
    "2018-05-28T09:03:40Z": "2018-05-28 09:03:40",
    "2018-05-28T09:03:40.678Z": "2018-05-28 09:03:40.678000",
    "2018-05-28T09:03+02:00": "2018-05-28 07:03:00",
    "2018-05-28T09:03:40+02:00": "2018-05-28 07:03:40",
    "2018-05-28 09:03:40+0200": "2018-05-28 07:03:40",
    "2018-05-28T09:03:40+02": "2018-05-28 07:03:40",
    "2018-05-28T23:03:40.250-09:30": "2018-05-29 08:33:40.250000",
    "2018-01-01T00:30:00+01:00": "2017-12-31 23:30:00",
    "2018-05-28T09:03:40+14:00": "2018-05-27 19:03:40",
    "2018-05-28T09:03:40-14": "2018-05-28 23:03:40",
    "2018-05-28T09:03:40-1400": "2018-05-28 23:03:40",
    "2018-05-28T09:03:40-00:00": "2018-05-28 09:03:40",
    # blanks around it
    " 2018-05-28T09:03:40": "2018-05-28 09:03:40",
    "2018-05-28 09:03:40\t\r\n": "2018-05-28 09:03:40",
    "\v\f 2018-05-28T09:03Z ": "2018-05-28 09:03:00",
}
"""Texts, and the times that they are."""

BAD = [
    # years that have not four digits, and other orders
    "1/2/22", "22-01-02", "22-01-02T03:04:05", "018-05-28T09:03:40", "12018-05-28T09:03:40",
    "+2018-05-28T09:03:40", "-2018-05-28T09:03:40", "0000-01-01T00:00:00", "2018", "2018-05",
    "2018/05/28 09:03:40", "28.05.2018 09:03", "05/28/2018", "20180528", "20180528T090340",
    "2018-W22-1", "2018-W22-1T09:03:40", "2018-148", "2018-5-28", "2018-05-28 (BC) 09:03:40",
    # dates and times that there are not
    "2018-02-30", "2018-02-30T09:03:40", "2019-02-29", "2018-13-01", "2018-00-01", "2018-05-00",
    "2018-04-31T09:03:40.678", "2018-05-28T24:00:00", "2018-05-28 24:00", "2018-05-28T24:00:00.000",
    "2018-05-28T25:00:00", "2018-05-28T09:60:00", "2018-05-28T09:03:60", "2018-05-28T23:59:60Z",
    # written otherwise
    "2018-05-28T9:03:40", "2018-05-28 9:03", "2018-05-28T09", "2018-05-28T0903", "2018-05-28T",
    "2018-05-28T09:3", "2018-05-28T09:03:4", "2018-05-28T09:03:", "2018-05-28T09:03:40.",
    "2018-05-28T09:03:40.Z", "2018-05-28T09:03.5", "2018-05-28T09:03:40.-12", "2018-05-28t09:03:40",
    "2018-05-28T09:03:40z", "2018-05-28  09:03:40", "2018-05-28T 09:03:40", "2018-05-28\t09:03:40",
    "2018-05-28x09:03:40", "2018-05-28_09:03:40", "2018-05-28T09:03:40.67x", "2018-05-2809:03:40",
    "2018-05-28T09.03.40", "2018-05-28T09:03:40:678", "2018-05-28T09:03:40.1 2", " 018-05-28 09:03",
    "2018-05- 8T09:03:40", "2018-05-28T09:03: 4", "2018-05-28T09:03:40. 12", "2018-05-28T -9:03:40",
    # zones
    "2018-05-28T09:03:40+25:00", "2018-05-28T09:03:40+14:01", "2018-05-28T09:03:40-15:00",
    "2018-05-28T09:03:40+1430", "2018-05-28T09:03:40+02:60", "2018-05-28T09:03:40+2:00",
    "2018-05-28T09:03:40+02:", "2018-05-28T09:03:40+2", "2018-05-28T09:03:40+020",
    "2018-05-28T09:03:40+02:00:30", "2018-05-28T09:03:40 +02:00", "2018-05-28T09:03:40 Z",
    "2018-05-28T09:03:40+", "2018-05-28T09:03:40Z+02:00", "2018-05-28Z", "2018-05-28+02:00",
    "2018-05-28 09:03:40 UTC", "2018-05-28 09:03:40 Europe/Prague", "2018-05-28 09:03:40 AM",
    "2018-05-28T09:03:40\N{MINUS SIGN}02:00", "0001-01-01T00:00:00+00:01",
    # words, numbers and other digits
    "epoch", "infinity", "-infinity", "now", "today", "NULL", "NaN", "1527498220", "-", "x",
    "٢٠١٨-05-28T09:03:40", "2018-05-28T09:03:40٣", "\N{NO-BREAK SPACE}2018-05-28",
]  # fmt: skip
"""Texts that are no times."""

MISSING = ["", " ", " \t\r\n\v\f"]

_LAST = datetime.fromisoformat("9999-12-30")

TEXTS = [*GOOD, *BAD, *MISSING]
EXPECTED = [*map(datetime.fromisoformat, GOOD.values()), *[None] * (len(BAD) + len(MISSING))]

Judged = tuple[Mapping[int, datetime], Mapping[int, str]]
"""Of the numbers of texts, the time or the reason."""


def votes_in_lines(folder: Path) -> Judged:
    lines = [vote_text(n, CreationDate=text) for n, text in enumerate(TEXTS)]
    staged = stage(folder, "\n".join(lines), columns=("id", "creation_date"))
    return dict(staged.rows), _by_number(staged.raws.values(), staged.reasons.values(), "Id")


def trips(folder: Path) -> Judged:
    point = "POINT (1 2)"
    lines = [f'{n},{point},{point},"{text}",x\r\n' for n, text in enumerate(TEXTS)]
    found = read_trips(folder, HEADER + "".join(lines))
    reasons = {int(raw.partition(",")[0]): reason for _, _, reason, raw in found.rejected}
    return {int(row[0]): row[5] for row in found.rows}, reasons


def _batches() -> list[dict[str, Any]]:
    return [{"id": n, "name": "x", "created_at": text} for n, text in enumerate(TEXTS)]


def batches_of_a_server(folder: Path) -> Judged:
    # In order of creation, as a server gives them.
    ordered = sorted(_batches(), key=lambda batch: EXPECTED[batch["id"]] or _LAST)

    def page(handler: http_server.Handler, request: http_server.Request) -> None:
        http_server.reply([] if request.parameters else ordered)(handler, request)

    with http_server.serving(page) as server:
        lake = make_lake(folder)
        load_batches(lake, BatchesSource(server.address), True)
    return dict(stored(lake, BATCHES, "id, created_at")), _reasons(lake, "id")


def students(folder: Path) -> Judged:
    lake = make_lake(folder)
    rows = [(n, "x", 1, text) for n, text in enumerate(TEXTS)]
    database = make_database(folder / "students.db", rows)
    load_sql(lake, STUDENTS_SOURCE, f"sqlite:///{database}", True)
    found = stored(lake, STUDENTS, "id, created_at")
    # A student need not have a time.
    assert [n for n, at in found if at is None] == [TEXTS.index(text) for text in MISSING]
    missing = {n: "created_at is missing" for n, at in found if at is None}
    return {n: at for n, at in found if at is not None}, {**missing, **_reasons(lake, "id")}


def _steps() -> list[dict[str, Any]]:
    steps = [{"Delivery Step": 1, "Customer": n, "Timestamp": t} for n, t in enumerate(TEXTS)]
    return [step for step in steps if step["Timestamp"] in TEXTS]


def deliveries_of_the_lake(folder: Path) -> Judged:
    feed = Feed(folder, window=timedelta(days=10**6))
    feed.append("".join(json.dumps(step) + "\n" for step in _steps()))
    feed.take_into_lake()
    found = dict(stored(feed.lake, DELIVERIES, "customer, occurred_at"))
    return found, _reasons(feed.lake, "Customer")


def deliveries_of_the_average(folder: Path) -> Judged:
    del folder
    average, reasons = RunningAverage(timedelta(days=10**6)), {}
    for step in _steps():
        try:
            average.ingest(step)
        except RecordError as error:
            reasons[step["Customer"]] = str(error)
    return average.opened, reasons


def _by_number(raws: Iterator[str] | Any, reasons: Any, name: str) -> dict[int, str]:
    return {json.loads(raw)[name]: why for raw, why in zip(raws, reasons, strict=True)}


def _reasons(lake: Lake, name: str) -> dict[int, str]:
    found = rejected(lake, "raw, reason")
    return _by_number([raw for raw, _ in found], [reason for _, reason in found], name)


READERS: Sequence[Callable[[Path], Judged]] = [
    votes_in_lines, trips, batches_of_a_server, students, deliveries_of_the_lake,
    deliveries_of_the_average,
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_every_reader_takes_the_same_texts_for_the_same_times(
    tmp_path: Path, reader: Callable[[Path], Judged]
) -> None:
    times, reasons = reader(tmp_path)

    assert [(text, times.get(n)) for n, text in enumerate(TEXTS)] == list(
        zip(TEXTS, EXPECTED, strict=True)
    )
    assert set(reasons) == set(range(len(GOOD), len(TEXTS)))
    for number, reason in reasons.items():
        words = "is missing" if TEXTS[number] in MISSING else "is not a date and time: "
        assert words in reason, TEXTS[number]


def test_the_last_time_is_that_of_the_year_9999() -> None:
    texts = ["9999-12-31T23:59:59.999999", "9999-12-31T23:59:59+00:01", "9999-12-31T23:59:59-00:01"]
    expected = ["9999-12-31 23:59:59.999999", "9999-12-31 23:58:59", None]
    assert [str(read_time(text) or "") or None for text in texts] == expected
    assert [None if at is None else str(at) for at in in_sql(texts)] == expected


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def in_sql(texts: Sequence[str]) -> list[datetime | None]:
    """The times that SQL reads."""
    found = _engine().execute(
        f"""SELECT {time_expression("x", "y")} FROM (SELECT x, TRY_CAST(x AS TIMESTAMP) AS y
            FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS x))""",
        [texts],
    )
    return [at for (at,) in found.fetchall()]


@st.composite
def written_times(draw: st.DrawFn) -> tuple[str, datetime]:
    """A time in any of the forms that are good, and in UTC or without a zone."""
    moment = draw(st.datetimes(datetime.fromisoformat("0001-01-02"), _LAST))
    timespec = draw(st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]))
    kept = {"minutes": 0, "seconds": 0, "milliseconds": moment.microsecond // 1000 * 1000}
    known = moment.replace(microsecond=kept.get(timespec, moment.microsecond))
    text = moment.isoformat(draw(st.sampled_from("T ")), timespec)
    if timespec == "minutes":
        known = known.replace(second=0)
    elif timespec == "microseconds":
        text += draw(st.text("0123456789", max_size=12))
    minutes = draw(st.none() | st.integers(-14 * 60, 14 * 60))
    if minutes is not None:
        offset = timezone(timedelta(minutes=minutes))
        zone = known.replace(tzinfo=offset).strftime("%z")
        if draw(st.booleans()):
            zone = f"{zone[:3]}:{zone[3:]}"
        text += zone
        known = known - timedelta(minutes=minutes)
    blanks = st.text(BLANKS, max_size=2)
    return draw(blanks) + text + draw(blanks), known


@settings(max_examples=15, deadline=None)
@given(st.lists(written_times(), max_size=40))
def test_a_time_is_read_the_same_in_sql_and_in_python(times: list[tuple[str, datetime]]) -> None:
    texts = [text for text, _ in times]
    expected = [moment for _, moment in times]
    assert [read_time(text) for text in texts] == expected
    assert in_sql(texts) == expected


_PIECES = st.sampled_from(
    ["2018", "-05", "-28", "T", " ", "09", ":03", ":40", ".678", ".6", "Z", "+02", ":00", "24", "-"]
)
_NEARLY = re.compile(
    r"[0-3 -]{4}-[01 -][0-9T]-[0-3][0-9 ][T ][0-2 ][0-9]:[0-6].:[0-6 ].(\.?[0-9 Z+-]{0,3})?"
)
_ODD = st.one_of(
    st.lists(_PIECES, max_size=10).map("".join),
    st.from_regex(_NEARLY, fullmatch=True),
    st.text("0123456789-:.TZ+ \t", max_size=30),
    st.text(max_size=12),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(_ODD.map(lambda text: text.replace("\0", "")), max_size=40))
@example(BAD)
def test_any_text_is_a_time_in_sql_where_it_is_one_in_python(texts: list[str]) -> None:
    assert in_sql(texts) == [read_time(text) for text in texts]
