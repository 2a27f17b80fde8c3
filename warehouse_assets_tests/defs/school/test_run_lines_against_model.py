"""Whatever lines come, the reader and a plain Python model agree on every one of them."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets_tests.defs.school.line_model import expected
from warehouse_assets_tests.defs.school.lines import stage_lines


def line(student_id: Any, lesson_title: str) -> str:
    return json.dumps({"result": "2/2", "student_id": student_id, "lesson_title": lesson_title})


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
        line(student_id=student, lesson_title=title)
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
