"""Which texts are values of which types, and what is said of others, beside plain Python."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, MetaData, Table, Text

from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, Rule, Validator, text
from warehouse_assets.times import BLANKS, read_time

_ENGINE = duckdb.connect()

THINGS = Table(
    "things",
    MetaData(),
    Column("id", BigInteger, primary_key=True, info={"field": "Id"}),
    Column("label", Text, nullable=False, info={"field": "Label"}),
    Column("number", BigInteger, info={"field": "Number"}),
    Column("amount", Double, info={"field": "amount"}),
    Column("is_good", Boolean, info={"field": "good?"}),
    Column("day", Date, info={"field": "day"}),
    Column("seen_at", DateTime, info={"field": "seen at"}),
    Column("lon", Double, info={"field": "place"}),
    Column("lat", Double, info={"field": "place"}),
    Column("note", Text, info={"field": "note"}),
    Column("made_by_us", BigInteger),
)
GOOD = {"Id": "1", "Label": "x"}
Reject = tuple[int, str, str | None, str]


def judged(
    records: Sequence[Mapping[str, str | None]], validator: Validator | None = None
) -> tuple[list[dict[str, Any]], list[Reject]]:
    """The rows, and position, reason, value and raw text of the rejected records."""
    validator = validator or Validator(THINGS)
    with _ENGINE.cursor() as connection:
        names = ", ".join(f"{text(field)} VARCHAR" for field in validator.fields)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE texts ({POSITION} BIGINT, {names})")
        columns = [range(len(records)), *([r.get(f) for r in records] for f in validator.fields)]
        values = ", ".join(
            f"unnest(CAST(? AS {kind}[]))" for kind in ["BIGINT", *["VARCHAR"] * (len(columns) - 1)]
        )
        connection.execute(f"INSERT INTO texts SELECT {values}", [list(c) for c in columns])
        texts = f"""SELECT *, 'raw ' || {POSITION} AS {RAW}, NULL AS {PROBLEM}, NULL AS {SEEN}
            FROM texts"""
        names = ", ".join(validator.columns)
        good = f"SELECT {names} FROM ({validator.query(texts)}) WHERE NOT {validator.is_unusable}"
        found = connection.execute(f"{good} ORDER BY {POSITION}")
        rows = [dict(zip(validator.columns, row, strict=True)) for row in found.fetchall()]
        rejects = f"SELECT position, reason, value, raw FROM ({validator.rejects(texts)})"
        rejected = connection.execute(f"{rejects} ORDER BY position").fetchall()
    assert len(rows) + len(rejected) == len(records)
    return rows, rejected


def whole(text: str) -> int | None:
    if not re.fullmatch(r"[+-]?([0-9]+|[0-9]{1,15}\.0+)", text):
        return None
    number = int(text.partition(".")[0])
    return number if -(2**63) <= number < 2**63 else None


def number(text: str) -> float | None:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        return None
    return float(text) if math.isfinite(float(text)) else None


def day(text: str) -> date | None:
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def boolean(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())


def point(text: str) -> tuple[float, float] | None:
    one = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    found = re.fullmatch(
        rf"(?i:point)[{BLANKS}]*\([{BLANKS}]*({one})[{BLANKS}]+({one})[{BLANKS}]*\)", text
    )
    if not found:
        return None
    lon, lat = float(found[1]), float(found[2])
    return (lon, lat) if abs(lon) <= 180 and abs(lat) <= 90 else None


PYTHON = {
    "Number": (whole, "is not a whole number"),
    "amount": (number, "is not a number"),
    "good?": (boolean, "is not true or false"),
    "day": (day, "is not a date"),
    "seen at": (read_time, "is not a date and time"),
    "place": (point, "is not "),
}
VALUE = {"Number": "number", "good?": "is_good", "seen at": "seen_at"}
PIECES = {
    "Number": ["0", "1", "9", "+", "-", ".", "e3", "_", "x", "9223372036854775807", "8", "٣"],
    "amount": ["0", "1", ".", "-", "+", "e", "E5", "_", "inf", "nan", "1e400", "0x1", "7.25"],
    "good?": ["true", "FALSE", "0", "1", "t", "yes", "no", "True"],
    "day": ["2020", "-", "02", "29", "30", "12", "1", "0001", "0000", "9999", "T", "(BC)", "epoch"],
    "seen at": ["2020-02-29", "T", " ", "10:00", ":59", ".5", "Z", "+02:00", "infinity", "24:00"],
    "place": ["POINT ", "point", "(", "1.5 ", "-90", " 180", "200", ")", ",", "nan", "1_0", " Z "],
}


def near_values(field: str) -> st.SearchStrategy[tuple[str, str]]:
    pieces = st.sampled_from([*PIECES[field], *BLANKS])
    return st.lists(pieces, max_size=6).map("".join).map(lambda text: (field, text))


EXAMPLES = {
    "Number": " 5 |5.0|\v5.00\f|1.5|0x1|1_0|1e3|-0|007|5.|9223372036854775808|9007199254740993.0",
    "amount": " 1.5 |\v1\f|1e400|inf|nan|1_0|.5|5.",
    "day": "2020-02-29| 2020-02-29\n|\v2020-02-29|2021-02-29|0001-01-01|9999-12-31|0000-01-01|"
    "infinity|2020-1-1|2020-02-29 10:00|0044-03-15 (BC)|10000-01-01|20200229",
    "seen at": "infinity|10000-01-01 00:00:00|0044-03-15 (BC) 00:00:00",
    "place": "POINT (1.5 -90)|POINT (180 90)|POINT (181 0)|POINT(1 2)|POINT (nan 1)|POINT (1_0 1)|"
    "point\t( 1e1\v.5 )|POINT (1)",
}


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from(sorted(PYTHON)).flatmap(near_values), max_size=60))
@example([(field, written) for field, texts in EXAMPLES.items() for written in texts.split("|")])
def test_texts_are_values_as_in_python(given_texts: Sequence[tuple[str, str]]) -> None:
    rows, rejected = judged([{**GOOD, field: written} for field, written in given_texts])
    reasons = {place: (reason, value) for place, reason, value, _ in rejected}
    good = iter(rows)
    for place, (field, written) in enumerate(given_texts):
        read, words = PYTHON[field]
        expected = read(written.strip(BLANKS)) if written.strip(BLANKS) else None
        if expected is None and written.strip(BLANKS):
            reason, value = reasons.pop(place)
            assert reason.startswith(f"{field} {words}"), written
            assert value == (written if len(written) <= 60 else written[:60] + "…")
            continue
        row = next(good)
        if field == "place":
            assert (row["lon"], row["lat"]) == (expected or (None, None)), written
        else:
            assert row[VALUE.get(field, field)] == expected, written
    assert reasons == {}


def test_text_that_must_be_there_is_trimmed_and_other_text_is_kept() -> None:
    rows, rejected = judged([{"Id": "1", "Label": " \ta b\n", "note": " \n"}, {"Id": "2"}])
    assert (rows[0]["label"], rows[0]["note"]) == ("a b", " \n")
    assert rejected == [(1, "Label is missing", None, "raw 1")]


def test_a_record_says_all_that_is_wrong_with_it() -> None:
    record = {"Id": "x" * 61, "Number": "1.5", "good?": "ja", "place": "POINT (200 1)"}
    ((_, reason, value, _),) = judged([record])[1]
    assert reason.split("; ") == [
        "Id is not a whole number",
        "Label is missing",
        "Number is not a whole number",
        "good? is not true or false",
        "place is not a longitude (-180 to 180) and a latitude (-90 to 90)",
    ]
    assert value == f"{'x' * 60}…; 1.5; ja; POINT (200 1)"


def test_families_add_values_and_rules() -> None:
    validator = Validator(
        THINGS,
        values={"number": f"length({text('word')})", "made_by_us": "number + 1"},
        rules=[Rule("number > 3", "word isn't short", text("word")), Rule("amount < 0", "owed")],
        more_fields=["word"],
    )
    records = [{**GOOD, "word": word, "Number": "not read"} for word in ("abc", "abcd")]
    rows, rejected = judged([*records, {**GOOD, "word": "abcd", "amount": "-1"}, GOOD], validator)
    assert [(row["number"], row["made_by_us"]) for row in rows] == [(3, 4), (None, None)]
    assert [reject[1:3] for reject in rejected] == [
        ("word isn't short", "abcd"),
        ("word isn't short; owed", "abcd"),
    ]


def test_a_problem_known_before_is_told_alone() -> None:
    validator = Validator(THINGS)
    nothing = ", ".join(f"NULL::VARCHAR AS {text(field)}" for field in validator.fields)
    texts = f"SELECT 7 AS {POSITION}, 'r' AS {RAW}, 'odd' AS {PROBLEM}, 's' AS {SEEN}, {nothing}"
    found = _ENGINE.execute(validator.rejects(texts)).fetchall()
    assert found == [(7, "odd", "s", "r")]


def test_columns_that_cannot_be_read_are_told_of_at_once() -> None:
    twice = [Column(name, Text, info={"field": "f"}) for name in "ab"]
    with pytest.raises(TypeError, match="several columns"):
        Validator(Table("t", MetaData(), *twice))


def test_rows_have_the_declared_types() -> None:
    texts = {
        "Number": "1", "amount": "1", "good?": "0", "day": "2020-01-02", "place": "POINT (1 2)",
        "seen at": "2020-01-02T03:04Z",
    }  # fmt: skip
    (row,), _ = judged([{**GOOD, **texts}])
    assert row == {
        "id": 1, "label": "x", "number": 1, "amount": 1.0, "is_good": False, "note": None,
        "day": date(2020, 1, 2), "seen_at": datetime.fromisoformat("2020-01-02T03:04"),
        "lon": 1.0, "lat": 2.0,
    }  # fmt: skip
