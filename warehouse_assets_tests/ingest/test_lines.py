"""Whatever bytes a stream holds, Python and DuckDB see the lines that are there, where they are."""

import tracemalloc
from io import BytesIO

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.ingest.lines import (
    TAIL_BYTES,
    LineReader,
    Problem,
    arrow_table,
)
from warehouse_assets_tests.defs.school.line_model import stray_bytes

Line = tuple[int, str, Problem | None]
LONGEST = 40
TOO_LONG = Problem("longer than 0 MiB")
_ENGINE = duckdb.connect()


def read(
    content: bytes, offset: int = 0, most: int | None = None, block: int = 12, **options: bool
) -> list[Line]:
    """Position, text and problem of all lines from `offset` on, as both see them."""
    lines: list[Line] = []
    stream = BytesIO(content)
    is_numbered, number = options.get("is_numbered", False), 1
    with _ENGINE.cursor() as connection:
        while True:
            stream.seek(offset)
            position = number if is_numbered else 1000 + offset
            left = len(content) - offset
            reader = LineReader(
                stream, left, position, block_bytes=block, longest=LONGEST, **options
            )
            parts = list(reader.read(most))
            if not parts:
                return lines
            connection.register("lines", arrow_table(part.to_arrow(7) for part in parts))
            found = connection.execute("FROM lines").fetchall()
            seen = [(at, text.decode(), problem) for part in parts for at, text, problem in part]
            assert found == [
                (7, at, text, *(problem or (None, None))) for at, text, problem in seen
            ]
            lines += seen
            number += len(seen)
            assert reader.tail == content[offset : offset + reader.size][-TAIL_BYTES:]
            offset += reader.size


def expected(content: bytes, offset: int, is_final: bool) -> list[Line]:
    """The same in plain Python."""
    found: list[Line] = []
    *lines, last = content[offset:].split(b"\n")
    position = 1000 + offset
    for raw in [*lines, *([last] if is_final and last else [])]:
        line, problem = raw[stray_bytes(raw) :], None
        if len(line) > LONGEST:
            problem = TOO_LONG
        else:
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                problem = Problem("not valid UTF-8", f"byte {error.start + 1}")
        found.append((position, line.decode("utf-8", errors="replace"), problem))
        position += len(raw) + 1
    return found


contents = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [b"", b"a", b"\xef\xbb\xbf", b"\x01", b"\xff", b"\0", '"Ü"'.encode(), b"\\x01", b"a\r"]
        ),
        st.integers(15, 70).map(lambda size: b"%d" % size * (size // 2)),
    ),
    max_size=12,
).map(b"\n".join)


@settings(max_examples=60, deadline=None)
@given(contents, st.booleans(), st.integers(1, 60), st.integers(1, 30), st.data())
def test_lines_are_where_they_are(
    content: bytes, is_final: bool, most: int, block: int, data: st.DataObject
) -> None:
    ends = [0, *(index + 1 for index, byte in enumerate(content) if byte == ord("\n"))]
    offset = data.draw(st.sampled_from(ends))
    model = expected(content, offset, is_final)
    assert shown(read(content, offset, most, block, is_final=is_final)) == shown(model)


def shown(lines: list[Line]) -> list[Line]:
    """How much of a line too long is kept depends on the blocks."""
    return [(at, text if problem != TOO_LONG else "", problem) for at, text, problem in lines]


@pytest.mark.parametrize("block", [3, 1000])
def test_lines_may_be_numbered(block: int) -> None:
    lines = [b"a", b"", b"b" * 100, b"\0\0c", b"d"]
    found = read(b"\n".join(lines), block=block, is_numbered=True)
    assert [at for at, _, _ in found] == [1, 2, 3, 4, 5]
    assert [text for _, text, _ in found if "b" not in text] == ["a", "", "c", "d"]


def test_a_line_or_a_hole_of_any_size_is_not_held() -> None:
    class Endless(BytesIO):
        """So many bytes of `byte`, and then two lines."""

        def __init__(self, byte: bytes, size: int) -> None:
            self.byte, self.left = byte, size

        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            if not self.left:
                return b"1\n2\n"
            self.left -= size
            return self.byte * size

    longest = 1 << 20
    size = 10 * longest
    tracemalloc.start()
    (too_long,), rest = list(LineReader(Endless(b"x", size), size + 4, longest=longest).read())
    assert (too_long[0], len(too_long[1])) == (0, 1000)
    assert too_long[2] == Problem("longer than 1 MiB")
    assert list(rest) == [(size + 2, b"2", None)]
    (behind,), rest = list(LineReader(Endless(b"\0", size), size + 4, longest=longest).read())
    assert (behind, list(rest)) == ((0, b"1", None), [(size + 2, b"2", None)])
    assert tracemalloc.get_traced_memory()[1] < 6 * longest
    tracemalloc.stop()
