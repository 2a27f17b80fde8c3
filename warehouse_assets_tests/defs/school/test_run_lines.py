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


def test_whole_numbers_are_not_guessed() -> None:
    good = ["3", '"3"', '" 3\\t"', "3.0", '"+3"', '"003"', "0.3e1"]
    bad = ['"1.5"', "1.5", '"0x10"', '"1e3"', '"x"', "true", "9223372036854775808"]
    text = '{{"result": "1/2", "student_id", {}, "lesson_id": {}, "lesson_title": "x"}}'
    staged = stage(
        *(text.format(written, written) for written in good),
        *(text.format(written, 4) for written in bad),
        *(text.format(3, written) for written in bad),
    )
    assert [row[:2] for row in staged.values] == [(3, 3)] * len(good)
    assert staged.reasons == [
        f"{field} is not a whole number: {written.strip(chr(34))}"
        for field in ("student_id", "lesson_id")
        for written in bad
    ]


UNUSABLE = [
    (line(...), "result is missing"),
    (line(None), "result is missing"),
    (line(""), "result is missing"),
    (line("2/2", ...), "student_id is missing"),
    (line("2/2", ""), "student_id is missing"),
    (line(lesson_id=...), "lesson_id and lesson_title are missing"),
    (line(lesson_id="", lesson_title=""), "lesson_id and lesson_title are missing"),
    (line(lesson_id="x"), "lesson_id is not a whole number: x"),
    (
        "{}",
        "student_id is missing; result is missing; lesson_id and lesson_title are missing",
    ),
    ("x" * 61, "not valid JSON"),
    (line("x" * 61), f"result is not like 2/3 or 2 out of 3: {'x' * 60}…"),
    (GOOD[:-1], "not valid JSON"),
    (GOOD + GOOD, "not valid JSON"),
    (GOOD.replace('"result":', '"result"'), "not valid JSON"),
    ('{"other", 1, "result": "2/2", "student_id": 3, "lesson_id": 4}', "not valid JSON"),
    ('{"result"; "2/2", "student_id": 3, "lesson_id": 4}', "not valid JSON"),
    ("[1, 2]", "not a JSON object but an array"),
    ("null", "not a JSON object but null"),
    ("5", "not a JSON object but a number"),
    ('"student_id"', "not a JSON object but a string"),
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


def test_positions_are_counted_in_bytes_whatever_the_lines_hold() -> None:
    lines = [b"", b"\xff\xfe", "Ü".encode(), b" \t", b"\0", b"a\x01b\r", b"\\x01", b"a\rb", b"\r"]
    staged = stage(*lines, GOOD, b"")
    assert [row[0] for row in staged.rows] == [1 + 3 + 3 + 3 + 2 + 5 + 5 + 4 + 2]
    assert [(position, raw) for position, _, raw in staged.rejected] == [
        (1, "��"),
        (4, "Ü"),
        (12, "a\x01b"),
        (17, "\\x01"),
        (22, "a\rb"),
    ]
    assert staged.reasons[0] == "not valid UTF-8: byte 1"
    assert set(staged.reasons[1:]) == {"not valid JSON"}


def test_line_ends_of_windows_and_a_byte_order_mark_are_tolerated() -> None:
    staged = stage_lines(b"\xef\xbb\xbf" + f"{GOOD}\r\n{GOOD}\r\nx\r\n\r\n".encode())
    assert staged.values == [GOOD_VALUES, GOOD_VALUES]
    assert [row[0] for row in staged.rows] == [0, 3 + len(GOOD) + 2]
    assert staged.rejected == [(3 + 2 * (len(GOOD) + 2), "not valid JSON", "x")]


def test_stray_bytes_do_not_shift_positions() -> None:
    marked = b"\xef\xbb\xbf" + GOOD.encode()
    inside = GOOD.encode().replace(b"2", b"\0", 1)
    content = b"\n".join([b"", marked, b"\0" * 7, b"\0 " + inside, GOOD.encode()])
    staged = stage_lines(content)
    assert [row[0] for row in staged.rows] == [1, len(marked) + 2 + 8 + 2 + len(inside) + 1]
    place = inside.index(b"\0") + 1
    assert staged.reasons == [f"not valid JSON: it has a NUL byte: byte {place}"]


def test_long_lines_are_read_and_those_of_more_than_16_mib_are_not() -> None:
    def titled(length: int) -> bytes:
        text = line(lesson_title="").encode()
        return text.replace(b'""', b'"' + b"t" * (length - len(text)) + b'"')

    contents = [titled(2**20), titled(16 * 2**20), titled(16 * 2**20 + 1), GOOD.encode()]
    staged = stage_lines(b"\n".join(contents))
    starts = [0, 2**20 + 1, 17 * 2**20 + 2, 33 * 2**20 + 4]
    assert [row[0] for row in staged.rows] == [starts[0], starts[1], starts[3]]
    assert len(staged.rows[1][3]) > 16 * 2**20 - 100
    raw = contents[2][:1000].decode()
    assert staged.rejected == [(starts[2], "longer than 16 MiB", raw)]
