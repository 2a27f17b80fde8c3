"""Files compressed by gzip, unpacked within a limit, and others that are not text, named.

Some kilobytes may unpack to any size.
"""

import codecs
import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading one may raise."""

UNPACKED_LIMIT = 100 * 10**9
"""Bytes that a file may unpack to where nothing else is said."""

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 8  # tell what a file is
_CHUNK_BYTES = 1 << 20
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


class UnreadableFileError(ValueError):
    """A file that cannot be read as records at all; `seen`, if anything, shows the reason."""

    def __init__(self, reason: str, seen: str | None = None) -> None:
        super().__init__(reason)
        self.seen = seen


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


def opened(path: Path) -> BinaryIO | gzip.GzipFile:
    """The file at `path`, unpacked as it is read."""
    with path.open("rb") as stream:
        is_packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return gzip.open(path, "rb") if is_packed else path.open("rb")


def make_plain(path: Path, target: Path, most_bytes: int) -> None:
    """Have the content of the file at `path` at `target`, which links to it or is it unpacked.

    DuckDB cannot be told every path.

    Raises:
        UnreadableFileError: the file is damaged, there is more than `most_bytes` in it, or it is
            not text in UTF-8.
    """
    with path.open("rb") as stream:
        is_packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    if is_packed:
        _unpack(path, target, most_bytes)
    else:
        target.symlink_to(path.absolute())
    with target.open("rb") as stream:
        head = stream.read(len(codecs.BOM_UTF8) + _HEAD_BYTES)
    if reason := _not_text(head.removeprefix(codecs.BOM_UTF8), is_packed):
        raise UnreadableFileError(reason)


def _unpack(path: Path, target: Path, most_bytes: int) -> None:
    """Write the content of the packed file at `path` to `target`; if it fails, that is gone."""
    size = 0
    try:
        with gzip.open(path, "rb") as reader, target.open("wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
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
