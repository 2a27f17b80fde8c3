"""What a file of CSV is like before any record of it is read: encoding, delimiter and columns.

What has to be unpacked or given another name is spooled to a temporary file. How a line is split
into fields is in `csv_lines`.
"""

import codecs
import gzip
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from warehouse_assets.sources.csv_lines import Layout
from warehouse_assets.sources.csv_split import MOST_RECORD_BYTES, NotARecordError, split_fields
from warehouse_assets.sources.packed import (
    DAMAGED,
    GZIP_MAGIC,
    UNPACKED_LIMIT,
    UnreadableFileError,
    unpack,
)
from warehouse_assets.sources.stray_bytes import copy_without_stray_bytes, without_stray_bytes

DELIMITERS = (",", ";", "\t", "|")
"""What may separate the fields; the header shows which does."""

Aliases = Mapping[str, Sequence[str]]
"""The columns wanted, each with the names that a header may give it, in small letters."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What DuckDB cannot be told in a path: it separates at a backslash, and its names are UTF-8.
_UNUSABLE_IN_A_PATH = re.compile(r"[\\\ud800-\udfff]")
_HEAD_BYTES = 1 << 16
_BEGINNING_BYTES = 64


@dataclass(frozen=True)
class Header:
    """The names of the columns, stripped and in small letters, and how they are written."""

    names: Sequence[str]
    delimiter: str
    lines: int


@dataclass(frozen=True)
class PreparedCsv:
    """A file that is not compressed, its layout, and the columns of it that nobody wants."""

    path: Path
    layout: Layout
    ignored: tuple[str, ...]


def prepare(
    path: Path, spool: Path, aliases: Aliases, unpacked_limit: int = UNPACKED_LIMIT
) -> PreparedCsv | None:
    """Find out the layout of the file at `path`; unpack it to `spool` where that is needed.

    Args:
        unpacked_limit: the most bytes that it may be when it is unpacked.

    Returns None if the file is empty.

    Raises:
        UnreadableFileError: the file is damaged, too large when unpacked, in an encoding other
            than UTF-8, or a column of `aliases` is missing or there twice.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    if start.startswith(GZIP_MAGIC):
        unpack(path, spool, unpacked_limit)
        path = spool
    with path.open("rb") as stream:
        beginning = stream.read(_BEGINNING_BYTES).removeprefix(codecs.BOM_UTF8)
    if without_stray_bytes(beginning) != beginning:
        unmarked = spool.with_name(f"{spool.name}-without-stray-bytes.csv")
        if copy_without_stray_bytes(path, unmarked):
            path = unmarked
    with path.open("rb") as stream:
        if stream.read(4).startswith(_UTF16):
            raise UnreadableFileError("the file is encoded in UTF-16; give it as UTF-8")
        stream.seek(0)
        header = _read_header(stream, aliases)
        if header is None:
            return None
        header = _without_trailing_delimiters(header, stream)
    if _UNUSABLE_IN_A_PATH.search(str(path)):
        spool.symlink_to(path.absolute())
        path = spool
    indices = _indices(header, aliases)
    ignored = tuple(
        name for index, name in enumerate(header.names) if name and index not in indices
    )
    layout = Layout(header.delimiter, len(header.names), indices, header.lines)
    return PreparedCsv(path, layout, ignored)


def has_columns(path: Path, aliases: Aliases) -> bool:
    """Whether the file at `path`, compressed or not, has a header with all columns wanted."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == GZIP_MAGIC
            stream.seek(0)
            with gzip.GzipFile(fileobj=stream) if packed else nullcontext(stream) as reader:
                # A header is at the beginning, however much there is to unpack.
                head = reader.read(_HEAD_BYTES)
        header = _read_header(io.BytesIO(head), aliases)
    except (OSError, UnreadableFileError, *DAMAGED):
        return False
    return header is not None and _found(header.names, aliases) == len(aliases)


def _read_header(stream: BinaryIO, aliases: Aliases) -> Header | None:
    """The first record that is not blank, split by the delimiter that finds most columns."""
    blank = 0
    line = stream.readline(MOST_RECORD_BYTES)
    while line and not without_stray_bytes(line).strip():
        blank += 1
        line = stream.readline(MOST_RECORD_BYTES)
    if not line:
        return None
    beginning = without_stray_bytes(line).rstrip(b"\n")
    behind = stream.tell()
    candidates = []
    for delimiter in DELIMITERS:
        stream.seek(behind)
        # A quote may be open for some lines, but not for the rest of a great file.
        following = _Following(stream, MOST_RECORD_BYTES)
        try:
            fields = split_fields(beginning, delimiter.encode(), following)
        except NotARecordError:
            continue
        names = [field.decode("utf-8", errors="replace").strip().lower() for field in fields]
        candidates.append(Header(names, delimiter, blank + 1 + following.lines))
    if not candidates:
        raise UnreadableFileError("the header cannot be read: its quotes are not closed")
    return max(candidates, key=lambda header: _found(header.names, aliases))


def _without_trailing_delimiters(header: Header, stream: BinaryIO) -> Header:
    """The header without empty names at its end that the first record has no fields for.

    Programs that end the header with a delimiter may not do so with the records.
    """
    names = list(header.names)
    while len(names) > 1 and not names[-1]:
        names.pop()
    if len(names) == len(header.names):
        return header
    stream.seek(0)
    following = _Following(stream, MOST_RECORD_BYTES)
    for _ in range(header.lines):
        following()
    line = following()
    while line is not None and not line.strip():
        line = following()
    try:
        fields = split_fields(line or b"", header.delimiter.encode(), following)
    except NotARecordError:
        return header
    return replace(header, names=names) if len(fields) == len(names) else header


class _Following:
    """Gives the lines of a stream one by one, without newline, until a number of bytes is used."""

    def __init__(self, stream: BinaryIO, most_bytes: int) -> None:
        self._stream = stream
        self._left = most_bytes
        self.lines = 0

    def __call__(self) -> bytes | None:
        line = self._stream.readline(self._left)
        if not line:
            return None
        self._left -= len(line)
        self.lines += 1
        return line.rstrip(b"\n")


def _found(names: Sequence[str], aliases: Aliases) -> int:
    return sum(1 for known in aliases.values() if any(name in known for name in names))


def _indices(header: Header, aliases: Aliases) -> tuple[int, ...]:
    """Where the columns wanted are; UnreadableFileError unless each is there once."""
    places = {
        wanted: [index for index, name in enumerate(header.names) if name in known]
        for wanted, known in aliases.items()
    }
    problems = []
    if missing := [" or ".join(aliases[wanted]) for wanted, found in places.items() if not found]:
        problems.append(f"columns missing in the header: {', '.join(missing)}")
    if doubled := [" or ".join(aliases[wanted]) for wanted, found in places.items() if found[1:]]:
        problems.append(f"columns more than once in the header: {', '.join(doubled)}")
    if problems:
        raise UnreadableFileError("; ".join(problems))
    return tuple(index for (index,) in places.values())
