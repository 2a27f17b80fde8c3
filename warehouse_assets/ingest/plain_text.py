"""What the bytes of a source are before they are records: packed, another format, or text.

- A file compressed by gzip is unpacked, within a limit, for some kilobytes may unpack to any size.
- Formats that people take for text (ZIP, Parquet, UTF-16 …) are named.
- NUL bytes and byte-order marks at the beginning of a line are not part of it. A file that is
  truncated while its writer keeps its place in it begins with a hole, which reads as NUL bytes, and
  so may one that a power cut met. A mark is left in the middle where files that begin with one are
  put together. The line behind them is as good as any other, and a line of nothing else is blank. A
  hole may be far longer than any line: it is never held as a whole.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading a damaged file may raise."""

UNPACKED_LIMIT = 100 * 10**9
"""Bytes that a file may unpack to where nothing else is said."""

MARK = codecs.BOM_UTF8
"""A byte-order mark, in UTF-8."""

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 8  # tell what a file is
_BLOCK_BYTES = 1 << 20
# How files begin that people take for text.
_FORMATS = (
    (b"PK\x03\x04", "a ZIP archive, or a spreadsheet"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ\x00", "compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite f", "a SQLite database"),
)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UTF_32 = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_STRAY = re.compile(rb"[\0 \xef\xbb\xbf]*")


class UnreadableFileError(ValueError):
    """A file that cannot be read as records at all; `seen`, if anything, shows the reason."""

    def __init__(self, reason: str, seen: str | None = None) -> None:
        super().__init__(reason)
        self.seen = seen


def opened(path: Path) -> BinaryIO | gzip.GzipFile:
    """The file at `path`, unpacked as it is read."""
    return gzip.open(path, "rb") if _is_packed(path) else path.open("rb")


def make_plain(path: Path, target: Path, most_bytes: int) -> None:
    """Have the content of the file at `path` at `target`, which links to it or is it unpacked.

    DuckDB cannot be told every path.

    Raises:
        UnreadableFileError: the file is damaged, there is more than `most_bytes` in it, or it is
            not text in UTF-8.
    """
    is_packed = _is_packed(path)
    if is_packed:
        _unpack(path, target, most_bytes)
    else:
        target.symlink_to(path.absolute())
    with target.open("rb") as stream:
        head = stream.read(len(MARK) + _HEAD_BYTES)
    if reason := _not_text(head.removeprefix(MARK), is_packed):
        raise UnreadableFileError(reason)


def without_stray_bytes(line: bytes) -> bytes:
    """The line without NUL bytes and marks at its beginning, and without blanks among them.

    Blanks alone stay as they are.
    """
    run = _STRAY.match(line)
    if run is None or not run[0].strip(b" "):
        return line
    # A character may begin with bytes of the mark; so the run is looked at as text.
    rest = run[0].decode("utf-8", "surrogateescape").lstrip("\0\ufeff ")
    return rest.encode("utf-8", "surrogateescape") + line[run.end() :]


def may_have_stray_bytes(lines: bytes) -> bool:
    """False if no line can begin with any; told much faster than line by line."""
    return b"\0" in lines or MARK in lines


def copy_without_stray_bytes(path: Path, target: Path) -> bool:
    """Copy a file, line by line, without them; returns whether there are any."""
    with path.open("rb") as reader, target.open("wb") as writer:
        writer.writelines(_without_stray_bytes(reader))
    return target.stat().st_size < path.stat().st_size


def _without_stray_bytes(reader: BinaryIO) -> Iterator[bytes]:
    """The lines, of long ones one part after the other."""
    is_beginning = True
    while line := reader.readline(_BLOCK_BYTES):
        if is_beginning:
            line = without_stray_bytes(line)
            if line and MARK.startswith(line):  # the next part may have the rest of a mark
                line = without_stray_bytes(line + reader.readline(_BLOCK_BYTES))
        yield line
        is_beginning = line.endswith(b"\n") or (is_beginning and not line)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def _unpack(path: Path, target: Path, most_bytes: int) -> None:
    """Write what the packed file at `path` holds to `target`; if it is too much, that is gone."""
    size = 0
    try:
        with gzip.open(path, "rb") as reader, target.open("wb") as writer:
            while chunk := reader.read(_BLOCK_BYTES):
                size += len(chunk)
                if size > most_bytes:
                    target.unlink()
                    raise UnreadableFileError(
                        f"the compressed file unpacks to more than {most_bytes:,} bytes (setting "
                        "UNPACKED_LIMIT)"
                    )
                writer.write(chunk)
    except DAMAGED as error:
        raise UnreadableFileError(f"the compressed file is cut off or damaged ({error})") from None


def _not_text(head: bytes, is_unpacked: bool) -> str | None:
    """Why a file cannot be read as text in UTF-8, in words; None if it may be.

    Args:
        head: its first eight bytes.
        is_unpacked: whether it came out of a file compressed by gzip.
    """
    inside = " inside" if is_unpacked else ""
    if is_unpacked and head.startswith(_GZIP_MAGIC):
        return "the file is compressed by gzip twice; compress it once"
    for magic, words in _FORMATS:
        if head.startswith(magic):
            return f"the file is{inside} {words}; give it plain or compressed by gzip"
    if head.startswith(_UTF_16) or _is_utf_16(head):
        name = "UTF-32" if head.startswith(_UTF_32) else "UTF-16"
        return f"the file is encoded in {name}; give it as UTF-8"
    return None


def _is_utf_16(head: bytes) -> bool:
    """Whether every other byte of some letters is NUL, as in UTF-16 without a mark."""
    pairs = len(head) // 2
    return pairs > 1 and any(
        head[place : 2 * pairs : 2] == bytes(pairs) and all(head[1 - place : 2 * pairs : 2])
        for place in (0, 1)
    )
