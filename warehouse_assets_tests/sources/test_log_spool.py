"""Whatever bytes a log holds, DuckDB sees the lines that Python sees, where they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.sources import log_lines, log_spool
from warehouse_assets.sources.growing_log import LogFile
from warehouse_assets.sources.log_lines import create_lines
from warehouse_assets.sources.log_place import Piece
from warehouse_assets.sources.log_spool import SpooledLines, spool_lines
from warehouse_assets_tests.school.line_model import stray_bytes, with_blanks

Line = tuple[int, str, str | None]
MOST = 40
TOO_LONG = "longer than 0 MiB"


@contextmanager
def small_limits() -> Iterator[None]:
    """Blocks of 12 bytes; a line of 24 is long for DuckDB, one of more than 40 for everyone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_spool, "_BLOCK_BYTES", 12)
        patch.setattr(log_spool, "MOST_BYTES_OF_A_COPIED_LINE", 24)
        patch.setattr(log_spool, "MOST_RECORD_BYTES", MOST)
        for module in (log_spool, log_lines):
            patch.setattr(module, "FILLER", b"    \n")
        yield


def spooled_lines(content: bytes, offset: int, is_final: bool, most: int) -> list[Line]:
    """Position, text and problem of lines that are not blank, spooled in parts of `most` bytes."""
    lines: list[Line] = []
    with TemporaryDirectory() as name, duckdb.connect() as connection:
        path = Path(name) / "test.log"
        path.write_bytes(content)
        with path.open("rb") as stream:
            file = LogFile(path, stream)
            while offset < file.size and (is_final or file.has_line(offset)):
                piece = Piece(file, offset, 1000, is_final, False, None)
                spooled = spool_lines(piece, Path(name), most)
                check_window(spooled, content, offset)
                for relation in create_lines(connection, spooled):
                    query = f"FROM {relation} WHERE trim(line, E' \\t\\r\\f\\x0b') <> ''"
                    lines += connection.execute(query).fetchall()
                offset += spooled.size
    # How much of a line too long is kept depends on the blocks.
    return sorted((at, text if problem != TOO_LONG else "", problem) for at, text, problem in lines)


def check_window(spooled: SpooledLines, content: bytes, offset: int) -> None:
    end = offset + spooled.size
    assert spooled.position == 1000 + offset
    assert spooled.window == content[max(end - len(spooled.window), 0) : end]
    assert len(spooled.window) == end


def expected(content: bytes, offset: int, is_final: bool) -> list[Line]:
    """The same in plain Python."""
    found: list[Line] = []
    *lines, last = content[offset:].split(b"\n")
    position = 1000 + offset
    for raw in [*lines, last] if is_final else lines:
        line = with_blanks(raw)
        if line.strip():
            problem = None
            if len(line) - stray_bytes(raw) > MOST:
                problem = TOO_LONG
            else:
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as error:
                    problem = f"not valid UTF-8 at its byte {error.start + 1}"
            text = line.decode("utf-8", errors="replace") if problem != TOO_LONG else ""
            found.append((position, text, problem))
        position += len(line) + 1
    return found


contents = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [b"", b"a", b"\xef\xbb\xbf", b"\x01", b"\xff", b"\0", '"Ü"'.encode(), b"\\x01"]
        ),
        st.integers(15, 70).map(lambda size: b"%d" % size * (size // 2)),
    ),
    max_size=12,
).map(b"\n".join)


@settings(max_examples=25, deadline=None)
@given(contents, st.booleans(), st.integers(1, 60), st.data())
def test_lines_are_where_they_are(
    content: bytes, is_final: bool, most: int, data: st.DataObject
) -> None:
    content = content.replace(b"\r", b"")
    ends = [0, *(index + 1 for index, byte in enumerate(content) if byte == ord("\n"))]
    offset = data.draw(st.sampled_from(ends))
    with small_limits():
        lines = spooled_lines(content, offset, is_final, most)
    assert lines == expected(content, offset, is_final)


def test_carriage_returns(tmp_path: Path) -> None:
    content = b"a\r\n\r\nb\rc\n\r\rd\r\r\n"
    assert spooled_lines(content, 0, False, 1000) == [
        (1000, "a ", None),
        (1005, "b\rc", None),
        (1009, "\r\rd\r ", None),
    ]
