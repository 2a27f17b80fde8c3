"""The records of a CSV file in Python, line by line, with their places.

DuckDB reads whole files many times faster, but refuses a file for one broken line and does not
say on which line a row stood. Here a broken line is lost by itself. How a line is split is in
`csv_split`; nothing is known here of the values of columns.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from warehouse_assets.sources.csv_split import MOST_RECORD_BYTES, NotARecordError, split_fields
from warehouse_assets.sources.stray_bytes import MARK, may_have_stray_bytes, without_stray_bytes

_BLOCK_BYTES = 1 << 20
_QUOTE = b'"'
_STRAY = (b"\0", b" ", MARK)  # and blanks, behind which there may be others


@dataclass(frozen=True)
class Layout:
    """What files must have in common to be read together.

    Args:
        delimiter: separates fields.
        width: how many columns the header has.
        indices: of each column wanted its place in the header, from 0.
        header_lines: how many lines the header ends after; blank lines may come before it.
    """

    delimiter: str
    width: int
    indices: tuple[int, ...]
    header_lines: int


class Line(NamedTuple):
    """A record, or a line that is none.

    `number` is its (first) line in the file from 1, `raw` how it stands there without the last
    line end. `fields` is None where it has no quotes, so that `raw` may simply be split; or where
    `problem` says why it is no record.
    """

    number: int
    raw: bytes
    fields: list[bytes] | None
    problem: str | None

    def texts(self, layout: Layout) -> list[str]:
        """The fields wanted, of a record."""
        fields = self.fields or self.raw.split(layout.delimiter.encode())
        return [fields[index].decode("utf-8") for index in layout.indices]


class LineReader:
    """Reads the records of a file and the lines that are none, in order; no blank lines.

    Args:
        wanted: ordinals of records, ascending from 0: only these are given; all if it is None.
        is_whole: whether DuckDB has read the file without complaint. Then every line that is not
            blank is counted as a record; else broken ones are not.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        wanted: Iterator[int] | None = None,
        is_whole: bool = False,
    ) -> None:
        self._path = path
        self._layout = layout
        self._separator = layout.delimiter.encode()
        self._wanted = wanted
        self._next = None if wanted is None else next(wanted, None)
        self._is_whole = is_whole
        self.count = 0
        """How many records there have been so far."""

    def __iter__(self) -> Iterator[Line]:
        number = self._layout.header_lines + 1
        with self._path.open("rb") as stream:
            for _ in range(self._layout.header_lines):
                stream.readline(MOST_RECORD_BYTES)
            blocks = _blocks(stream)
            for block in blocks:
                if self._wanted is not None and self._is_whole and _is_regular(block):
                    yield from self._picked(block, number)
                    number += _count_lines(block)
                    continue
                lines = _split_lines(block)
                index = 0
                while index < len(lines):
                    if lines[index].startswith(_STRAY):
                        lines[index] = without_stray_bytes(lines[index])
                    raw = lines[index].rstrip(b"\r")
                    used = 1
                    if self._is_plain(raw):
                        if self._is_wanted(None):
                            yield Line(number, raw, None, None)
                    elif raw and not raw.isspace():
                        line, used = _record(lines, index, blocks, self._layout)
                        if self._is_wanted(line.problem):
                            yield line._replace(number=number)
                    index += used
                    number += used

    def _picked(self, block: bytes, number: int) -> Iterator[Line]:
        """The lines wanted of a block that has a record in every line."""
        first, following = self.count, self.count + _count_lines(block)
        lines: list[bytes] = []
        while self._next is not None and self._next < following:
            lines = lines or [without_stray_bytes(line) for line in _split_lines(block)]
            index = self._next - first
            raw = lines[index].rstrip(b"\r")
            if self._is_plain(raw):
                yield Line(number + index, raw, None, None)
            else:
                line, _ = _record(lines, index, iter(()), self._layout)
                yield line._replace(number=number + index)
            self._next = next(self._wanted or iter(()), None)
        self.count = following

    def _is_wanted(self, problem: str | None) -> bool:
        """Count a line; whether it is to be given."""
        if problem is None or self._is_whole:
            ordinal, self.count = self.count, self.count + 1
            if ordinal == self._next:
                self._next = next(self._wanted or iter(()), None)
                return True
        return self._wanted is None

    def _is_plain(self, raw: bytes) -> bool:
        return (
            _QUOTE not in raw
            and raw.count(self._separator) == self._layout.width - 1
            and not may_have_stray_bytes(raw)
            and b"\r" not in raw
            and len(raw) < MOST_RECORD_BYTES
            and (raw.isascii() or _is_utf8(raw))
        )


def count_records(path: Path, layout: Layout) -> int:
    """How many records the file at `path` has, if DuckDB reads it without complaint."""
    reader = LineReader(path, layout, wanted=iter(()), is_whole=True)
    for _ in reader:
        pass
    return reader.count


def has_quotes_at_end(path: Path) -> bool:
    """Whether a quote may be open at the end of the file."""
    with path.open("rb") as stream:
        stream.seek(max(stream.seek(0, os.SEEK_END) - MOST_RECORD_BYTES, 0))
        return _QUOTE in stream.read()


def _record(
    lines: list[bytes], index: int, blocks: Iterator[bytes], layout: Layout
) -> tuple[Line, int]:
    """The record that begins with a line, or that line by itself; and how many lines it takes."""
    used = 1
    size = len(lines[index]) + 1

    def following() -> bytes | None:
        nonlocal used, size
        if index + used == len(lines):
            lines.extend(_split_lines(next(blocks, b"")))
        if index + used == len(lines):
            return None
        line = lines[index + used]
        used += 1
        size += len(line) + 1
        return line if size <= MOST_RECORD_BYTES else None

    problem = None
    fields: list[bytes] = []
    if size > MOST_RECORD_BYTES:
        problem = f"longer than {MOST_RECORD_BYTES // 2**20} MiB"
    else:
        try:
            fields = split_fields(lines[index], layout.delimiter.encode(), following)
        except NotARecordError as error:
            problem = str(error)
        # A delimiter at the end of a line is usual with some programs.
        while len(fields) > layout.width and not fields[-1]:
            fields.pop()
        if problem is None and len(fields) != layout.width:
            problem = f"{len(fields)} fields where the header has {layout.width}"
    if problem is not None:
        if used > 1:
            problem = "a quote is not closed on this line, nor fittingly on those behind it"
        return Line(0, lines[index].rstrip(b"\r"), None, problem), 1
    raw = b"\n".join(lines[index : index + used]).rstrip(b"\r")
    return Line(0, raw, fields, _unreadable(fields, layout)), used


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unreadable(fields: list[bytes], layout: Layout) -> str | None:
    """What is wrong with the bytes of the fields wanted."""
    for index in layout.indices:
        if b"\0" in fields[index]:
            return f"a NUL byte in field {index + 1}"
        if fields[index].lstrip(b" ").startswith(MARK):
            return f"a byte-order mark at the beginning of field {index + 1}"
        try:
            fields[index].decode("utf-8")
        except UnicodeDecodeError as error:
            return f"not valid UTF-8 in field {index + 1}, at its byte {error.start + 1}"
    return None


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Parts of about the same size that end with a line; of one far too long only the beginning."""
    while block := stream.read(_BLOCK_BYTES):
        if not block.endswith(b"\n"):
            begun = block.rfind(b"\n") + 1
            line = without_stray_bytes(block[begun:])
            # What stands before a line may be a hole of any size.
            while len(line) <= MOST_RECORD_BYTES and not line.endswith(b"\n"):
                if not (more := stream.readline(MOST_RECORD_BYTES + 1)):
                    break
                line = without_stray_bytes(line + more)
            block = block[:begun] + line
        if not block.endswith(b"\n"):
            while (rest := stream.readline(_BLOCK_BYTES)) and not rest.endswith(b"\n"):
                pass
        yield block


def _count_lines(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _split_lines(block: bytes) -> list[bytes]:
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _is_regular(block: bytes) -> bool:
    """Whether every line is one record, in a file where no line is broken."""
    return not (
        _QUOTE in block
        or block.startswith((b"\n", b"\r\n"))
        or b"\n\n" in block
        or b"\n\r\n" in block
    )
