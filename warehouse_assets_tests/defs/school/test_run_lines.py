"""What a line of the log of test runs says, or why it cannot be used, as a model says, too."""

import json
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import accumulate
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.defs.school.family import TEST_RUN_LINES
from warehouse_assets.defs.school.tables import TEST_RUNS
from warehouse_assets.ingest.lines import LineReader
from warehouse_assets.ingest.staging import REJECTED, STAGED
from warehouse_assets.tables import column_names, identifiers
from warehouse_assets_tests.defs.school.line_model import expected
from warehouse_assets_tests.ingest.stored import WHY


@dataclass(frozen=True)
class StagedLines:
    """Good rows by position, and rejected lines as position, reason, raw."""

    rows: list[tuple[Any, ...]]
    rejected: list[tuple[int, str, str]]

    @property
    def values(self) -> list[tuple[Any, ...]]:
        """The rows without their positions."""
        return [row[1:] for row in self.rows]

    @property
    def reasons(self) -> list[str]:
        """Why lines were rejected."""
        return [reason for _, reason, _ in self.rejected]


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def stage_lines(content: bytes) -> StagedLines:
    """Read the lines of a file with this content; the last may lack its line end."""
    with _engine().cursor() as cursor:
        TEST_RUN_LINES.stage(cursor, LineReader(BytesIO(content), len(content)).read())
        names = identifiers(column_names(TEST_RUNS))
        rows = cursor.execute(f"SELECT {names} FROM {STAGED} ORDER BY 1").fetchall()
        query = f"SELECT position, {WHY}, raw FROM {REJECTED} ORDER BY 1"
        return StagedLines(rows, cursor.execute(query).fetchall())


GOOD = '{"result": "2 out of 2", "student_id", 3, "lesson_id": "4"}'
GOOD_VALUES = (3, 4, None, 2, 2, True)


def stage(*lines: str | bytes) -> StagedLines:
    texts = [line.encode() if isinstance(line, str) else line for line in lines]
    return stage_lines(b"".join(text + b"\n" for text in texts))


def line(result: Any = "2/2", student_id: Any = 3, **fields: Any) -> str:
    record = {"result": result, "student_id": student_id, "lesson_id": 4, **fields}
    return json.dumps({name: value for name, value in record.items() if value is not ...})


AS_GOOD = [
    GOOD,
    '{"result": "2 out of 2", "student_id": 3, "lesson_id": "4"}',
    '{"result":"2/2","student_id",3,"lesson_id":4}',
    '{"result", "2/2", "student_id", "3", "lesson_id", "4"}',
    ' {\t"result" , "2/2" ,\t"student_id" ,3, "lesson_id" , 4.0 } ',
    '{"lesson_id": 4, "lesson_title": null, "student_id": 3, "result": "2/2"}',
    '{"student_id", 3, "lesson_title", "", "lesson_id", 4, "result", "2/2"}',
    '{"extra": ["a", "b"], "result": "2/2", "student_id", 3, "lesson_id": 4}',
    '{"extra": ["result", "student_id", 1], "result": "2/2", "student_id": 3, "lesson_id": 4}',
    '{"extra": {"student_id", 5}, "result": "2/2", "student_id", 3, "lesson_id": 4}',
    '{"student\\u005fid": 3, "result": "2/2", "lesson_id": 4, "other": null}',
]


def test_a_comma_after_a_key_is_as_good_as_a_colon() -> None:
    staged = stage(*AS_GOOD)
    assert staged.rejected == []
    assert staged.values == [GOOD_VALUES] * len(AS_GOOD)


TITLES = [
    ('"lesson_title": "student_id", "student_id", 3', "student_id"),
    ('"lesson_title", "student_id", "student_id", 3', "student_id"),
    ('"student_id", 3, "lesson_title": "a, \\"student_id\\", b"', 'a, "student_id", b'),
    ('"student_id": 3, "lesson_title": "{\\"result\\", 1"', '{"result", 1'),
    ('"student_id", 3, "lesson_title": ", student_id, 3"', ", student_id, 3"),
    ('"student_id", 3, "lesson_title": "Ü \\u00fc 日本"', "Ü ü 日本"),
]


def test_a_comma_in_a_value_stays() -> None:
    staged = stage(*(f'{{"result": "1/2", {text}}}' for text, _ in TITLES))
    assert staged.rejected == []
    assert staged.values == [(3, None, title, 1, 2, False) for _, title in TITLES]


RESULTS = [
    ("2/3", (2, 3, False)),
    ("2 out of 3", (2, 3, False)),
    ("3 / 3", (3, 3, True)),
    (" 3  out  of  3 ", (3, 3, True)),
    ("03/3", (3, 3, True)),
    ("5/3", (5, 3, False)),
    ("0/3", (0, 3, False)),
    ("0/0", (0, 0, True)),
    ("9223372036854775807/1", (2**63 - 1, 1, False)),
]


def test_results() -> None:
    staged = stage(*(line(result) for result, _ in RESULTS))
    assert [row[3:] for row in staged.values] == [values for _, values in RESULTS]


NO_RESULTS: list[Any] = (
    ["-1/2", "1/-2", "2", "2 of 3", "two out of three", "1/2/3", "1.0/2", "1/", "/2", "½", "٣/٣",
     "9223372036854775808/1", "1 outof 2", 0.5, True, ["1/2"], {"1": 2}]
)  # fmt: skip


def test_what_is_not_a_result_is_not_guessed() -> None:
    staged = stage(*map(line, NO_RESULTS))
    assert staged.rows == []
    assert len(staged.reasons) == len(NO_RESULTS)
    for reason in staged.reasons:
        assert reason.startswith("result is not like 2/3 or 2 out of 3: ")


UNUSABLE = [
    (line(...), "result is missing"),
    (line(None), "result is missing"),
    (line("2/2", ...), "student_id is missing"),
    (line(lesson_id=...), "lesson_id and lesson_title are missing"),
    (line(lesson_id="", lesson_title=""), "lesson_id and lesson_title are missing"),
    (line(lesson_id="x"), "lesson_id is not a whole number: x"),
    (
        "{}",
        "student_id is missing; result is missing; lesson_id and lesson_title are missing",
    ),
    (line("x" * 61), f"result is not like 2/3 or 2 out of 3: {'x' * 60}…"),
    (GOOD[:-1], "not valid JSON"),
    (GOOD + GOOD, "not valid JSON"),
    (GOOD.replace('"result":', '"result"'), "not valid JSON"),
    ('{"other", 1, "result": "2/2", "student_id": 3, "lesson_id": 4}', "not valid JSON"),
    ('{"result"; "2/2", "student_id": 3, "lesson_id": 4}', "not valid JSON"),
    (
        '{"student_id", 1, "student_id": 2, "result": "2/2", "lesson_id": 4}',
        "student_id is there more than once",
    ),
]


def test_a_line_that_cannot_be_used_says_why() -> None:
    staged = stage(GOOD, *(text for text, _ in UNUSABLE), GOOD)
    assert staged.values == [GOOD_VALUES, GOOD_VALUES]
    ends = accumulate((len(text) + 1 for text, _ in UNUSABLE), initial=len(GOOD) + 1)
    assert staged.rejected == [
        (position, reason, text) for position, (text, reason) in zip(ends, UNUSABLE, strict=False)
    ]


def test_line_ends_of_windows_and_a_byte_order_mark_are_tolerated() -> None:
    staged = stage_lines(b"\xef\xbb\xbf" + f"{GOOD}\r\n{GOOD}\r\nx\r\n\r\n".encode())
    assert staged.values == [GOOD_VALUES, GOOD_VALUES]
    assert [row[0] for row in staged.rows] == [0, 3 + len(GOOD) + 2]
    assert staged.rejected == [(3 + 2 * (len(GOOD) + 2), "not valid JSON", "x")]


def test_many_lines_in_many_blocks() -> None:
    def text(number: int) -> str:
        if number % 1000 == 7:
            return f"bad {number}"
        return (
            f'{{"result": "1/2", "student_id", {number}, "lesson_title": "{"ü" * (number % 9)}x"}}'
        )

    content = "".join(text(number) + "\n" for number in range(25_000)).encode()
    staged = stage_lines(content)
    rows, rejected = expected([content])
    assert staged.rows == rows
    assert [(position, raw) for position, _, raw in staged.rejected] == rejected
    assert len(rejected) == 25


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 99), st.integers(-(2**65), 2**65), words,
    st.sampled_from([1.0, 2.5, "1.5", "0x10", "007", "+7", "3.0", "1e3", "٣", ""]),
)  # fmt: skip
results = st.one_of(
    st.builds("{}{}{}".format, st.integers(0, 3), st.sampled_from(["/", " out of ", " / "]),
              st.integers(0, 3)),
    st.sampled_from(["-1/2", "1/2/3", "1 of 2", "", "1/x"]), scalars,
)  # fmt: skip
# Strings in lists that read like keys may be taken for some.
others = st.one_of(scalars, st.lists(st.integers(0, 9), max_size=2), st.just({"student_id": 5}))
names = st.sampled_from(["result", "student_id", "lesson_id", "lesson_title", "ü,"])
titles = st.one_of(names, words, st.sampled_from(['", "student_id", 1', ', "result",', ""]))
spaces = st.sampled_from(["", " ", " ", "\t"])


@st.composite
def written_lines(draw: st.DrawFn) -> bytes:
    """An object with the fields in any order, with commas or colons, spaced in any way."""
    fields = draw(
        st.permutations(
            [
                ("result", results),
                ("student_id", st.one_of(st.integers(0, 9), scalars)),
                ("lesson_id", st.one_of(st.integers(0, 9).map(str), scalars)),
                ("lesson_title", st.one_of(titles, scalars)),
                ("other", others),
            ]
        )
    )
    is_ascii, members = draw(st.booleans()), []
    for name, values in fields[: draw(st.integers(2, 5))]:
        mark = ":" if name == "other" else draw(st.sampled_from(":,"))
        value = json.dumps(draw(values), ensure_ascii=is_ascii)
        before, after = draw(spaces), draw(spaces)
        members.append(f'{before}"{name}"{draw(spaces)}{mark}{after}{value}')
    return ("{" + f"{draw(spaces)},".join(members) + "}").encode()


usual_lines = st.builds(
    lambda student, title: (
        line(student_id=student, lesson_title=title, lesson_id=...)
        .replace('"student_id":', '"student_id",')
        .encode()
    ),
    st.integers(0, 9),
    titles,
)
cut_lines = st.builds(
    lambda whole, share: whole[: int(len(whole) * share)], written_lines(), st.floats(0, 1)
)
junk = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"", b"", b" ", b"\t\r", b"\r", b"{}", b"[1]", b"null", b"\xff", b"\0", b"{"]),
)
any_lines = st.one_of(usual_lines, written_lines(), cut_lines, junk).map(
    lambda content: content.replace(b"\n", b"\\n")
)
ends = st.sampled_from([b"\n", b"\n", b"\r\n"])


@settings(max_examples=16, deadline=None)
@given(st.lists(st.tuples(any_lines, ends), min_size=1, max_size=12))
def test_the_reader_and_a_model_agree_on_every_line(written: list[tuple[bytes, bytes]]) -> None:
    content = b"".join(text + end for text, end in written)
    staged = stage_lines(content)
    rows, rejected = expected([content])
    assert staged.rows == rows
    assert [(position, raw) for position, _, raw in staged.rejected] == rejected
    assert all(staged.reasons)
