"""What a line of the log of test runs says, or why it cannot be used."""

import json
from itertools import accumulate
from typing import Any

from warehouse_assets_tests.defs.school.lines import StagedLines, stage_lines

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
