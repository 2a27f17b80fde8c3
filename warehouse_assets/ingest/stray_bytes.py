"""NUL bytes and byte-order marks at the beginning of a line, which are not part of it.

A file that is truncated while its writer keeps its place in it begins with a hole, which reads as
NUL bytes, and so may one that a power cut met. A byte-order mark is left in the middle where files
that begin with one are put together. The line behind them is as good as any other, and a line of
nothing else is blank. A hole may be far longer than any line: it is never held as a whole.
"""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MARK = codecs.BOM_UTF8
"""A byte-order mark, in UTF-8."""

STRAY_CHARACTERS = "\0\ufeff "
"""What they are in text, and blanks among them."""

_RUN = re.compile(rb"[\0 \xef\xbb\xbf]*")
_BLOCK_BYTES = 1 << 20


def without_stray_bytes(line: bytes) -> bytes:
    """The line without NUL bytes and marks at its beginning, and without blanks among them.

    Blanks alone stay as they are.
    """
    run = _RUN.match(line)
    if run is None or not run[0].strip(b" "):
        return line
    # A character may begin with bytes of the mark; so the run is looked at as text.
    rest = run[0].decode("utf-8", "surrogateescape").lstrip(STRAY_CHARACTERS)
    return rest.encode("utf-8", "surrogateescape") + line[run.end() :]


def may_have_stray_bytes(lines: bytes) -> bool:
    """False if no line can begin with any; told much faster than line by line."""
    return b"\0" in lines or MARK in lines


def copy_without_stray_bytes(path: Path, target: Path) -> bool:
    """Copy a file, line by line, without them; returns whether there are any."""
    with path.open("rb") as reader, target.open("wb") as writer:
        for piece in _without(reader):
            writer.write(piece)
    return target.stat().st_size < path.stat().st_size


def _without(reader: BinaryIO) -> Iterator[bytes]:
    """The lines, of long ones one part after the other."""
    is_beginning = True
    while line := reader.readline(_BLOCK_BYTES):
        if is_beginning:
            line = without_stray_bytes(line)
            if line and MARK.startswith(line):  # the next part may have the rest of a mark
                line = without_stray_bytes(line + reader.readline(_BLOCK_BYTES))
        yield line
        is_beginning = line.endswith(b"\n") or (is_beginning and not line)
