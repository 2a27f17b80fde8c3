"""Copying a range of whole lines out of a log, so that DuckDB can read them.

DuckDB cannot begin in the middle of a file, and of a line that is not UTF-8 or holds a carriage
return it makes an error or two lines. The copy has as many bytes before each line as the log has,
and blanks in place of lines that DuckDB cannot read as they are; those are written down beside it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from warehouse_assets.sources.growing_log import LogChangedError
from warehouse_assets.sources.json_layout import MOST_RECORD_BYTES
from warehouse_assets.sources.log_marks import WINDOW_BYTES
from warehouse_assets.sources.log_place import Piece
from warehouse_assets.sources.stray_bytes import MARK, may_have_stray_bytes, without_stray_bytes

FILLER = b" " * 65535 + b"\n"
"""A blank line, of which there are many in place of a line of many bytes."""

SEPARATOR = "\x01"
"""What DuckDB is told to be between two columns; a line that holds it is written down."""

MOST_BYTES_OF_A_COPIED_LINE = 2 << 20
"""Longer lines are written down."""

# Two blocks hold a whole line that may stay in the copy.
_BLOCK_BYTES = MOST_BYTES_OF_A_COPIED_LINE // 2
_CHARACTERS_OF_A_LONG_LINE = 1000
_BYTES_OF_A_LONG_LINE = 4 * _CHARACTERS_OF_A_LONG_LINE


@dataclass(frozen=True)
class SpooledLines:
    """Whole lines of a log, copied.

    Args:
        path: the copy, which begins with an empty line of its own.
        odd: what is blank in the copy: JSON lines with position, line and problem.
        longest_odd: the greatest number of bytes of a line in `odd`; 0 if there is none.
        position: where in the log the first line begins.
        size: how many bytes of the log the lines have.
        window: the last of these bytes, and those before them if they are few.
        skipped: how many of the bytes come before those of the copy, which holds nothing of them.
    """

    path: Path
    odd: Path
    longest_odd: int
    position: int
    size: int
    window: bytes
    skipped: int


@dataclass(frozen=True)
class _LongLine:
    """A line that is not held with the stray bytes before it.

    Args:
        head: how it begins behind them; all of it if `is_whole`, else it is too long.
        size: bytes of all of it, with its line end.
        window: its end.
    """

    head: bytes
    size: int
    window: bytes
    is_whole: bool = False


def spool_lines(piece: Piece, folder: Path, most_bytes: int) -> SpooledLines:
    """Copy the lines at the beginning of `piece` into `folder`.

    Args:
        piece: where in the log they are.
        most_bytes: lines that begin more than a block of bytes behind this are not copied.

    Raises:
        LogChangedError: the log was truncated meanwhile.
    """
    path, odd = folder / "lines.log", folder / "odd.json"
    stream, offset, size = piece.file.stream, piece.offset, 0
    window = piece.file.window(offset)
    with path.open("wb") as lines, odd.open("w", encoding="ascii") as odd_lines:
        copy = _Copy(lines, odd_lines, piece.position)
        stream.seek(offset)
        for part in _whole_lines(stream, piece.file.size - offset, piece.is_final):
            if isinstance(part, _LongLine):
                copy.write_long_line(part)
                size, end = size + part.size, part.window
            else:
                copy.write_lines(part)
                size, end = size + len(part), part[-WINDOW_BYTES:]
            window = (window + end)[-WINDOW_BYTES:]
            if size >= most_bytes:
                break
    if size == 0 or piece.file.window(offset + size) != window:
        raise LogChangedError(
            f"The log {piece.file.path} was truncated or overwritten while it was read. Nothing of "
            "what was being read was taken; the same run again looks at it anew."
        )
    return SpooledLines(path, odd, copy.longest_odd, piece.position, size, window, copy.skipped)


def _whole_lines(stream: BinaryIO, size: int, is_final: bool) -> Iterator[bytes | _LongLine]:
    """The lines of the next `size` bytes, many together, and long ones each by itself.

    Args:
        is_final: whether what is behind the last line end is a line.
    """
    tail = b""
    while size > 0 and (block := stream.read(min(_BLOCK_BYTES, size))):
        size -= len(block)
        tail += block
        end = tail.rfind(b"\n") + 1
        if end:
            yield tail[:end]
            tail = tail[end:]
        elif len(tail) > MOST_RECORD_BYTES:
            line, tail, size = _rest_of_long_line(stream, tail, size)
            if line.window.endswith(b"\n") or is_final:
                yield line
    end = len(tail) if is_final else tail.rfind(b"\n") + 1
    if end:
        yield tail[:end]


def _rest_of_long_line(stream: BinaryIO, begun: bytes, size: int) -> tuple[_LongLine, bytes, int]:
    """A line that begins with `begun`, what was read behind it, and how many bytes are left."""
    length, window, rest = len(begun), begun[-WINDOW_BYTES:], b""
    text = without_stray_bytes(begun)
    while size > 0 and not window.endswith(b"\n"):
        if not (block := stream.read(min(_BLOCK_BYTES, size))):
            break
        size -= len(block)
        end = block.find(b"\n") + 1 or len(block)
        length += end
        window = (window + block[:end])[-WINDOW_BYTES:]
        rest = block[end:]
        if len(text) < len(MARK):
            text = without_stray_bytes(text + block[:end])
        elif len(text) <= MOST_RECORD_BYTES:
            text += block[:end]
    text = text.removesuffix(b"\n")
    if len(text) <= MOST_RECORD_BYTES:
        return _LongLine(text, length, window, is_whole=True), rest, size
    return _LongLine(text[:_BYTES_OF_A_LONG_LINE], length, window), rest, size


class _Copy:
    """The copy that is being written.

    Args:
        lines: what DuckDB reads.
        odd: what it cannot read there.
        position: where in the log the next line begins.
    """

    def __init__(self, lines: BinaryIO, odd: TextIO, position: int) -> None:
        self.lines = lines
        self.odd = odd
        self.position = position
        self.longest_odd = 0
        self.skipped = 0
        # DuckDB would drop a byte-order mark at the very beginning.
        lines.write(b"\n")

    def write_lines(self, lines: bytes) -> None:
        """Write whole lines, of which the last may lack its line end."""
        if not lines.endswith(b"\n"):
            lines += b"\n"
        if b"\r" in lines:
            lines = lines.replace(b"\r\n", b" \n")
        is_long = lines.find(b"\n") >= MOST_BYTES_OF_A_COPIED_LINE
        if is_long or may_have_stray_bytes(lines) or _is_odd(lines):
            for line in lines[:-1].split(b"\n"):
                self._write_line(line)
        else:
            self.lines.write(lines)
            self.position += len(lines)

    def write_long_line(self, line: _LongLine) -> None:
        """Write blanks in place of a line, and write down what it is, or that it is too long."""
        if line.is_whole:
            self._write_odd_line(line.head)
        else:
            text = line.head.decode("utf-8", errors="replace")[:_CHARACTERS_OF_A_LONG_LINE]
            self._write_odd(text, f"longer than {MOST_RECORD_BYTES // 2**20} MiB")
        self._write_blanks(line.size)

    def _write_line(self, line: bytes) -> None:
        text = without_stray_bytes(line)
        if len(text) > MOST_RECORD_BYTES:
            self.write_long_line(_LongLine(text[:_BYTES_OF_A_LONG_LINE], len(line) + 1, b""))
        elif _is_odd(text) or len(line) >= MOST_BYTES_OF_A_COPIED_LINE:
            self._write_odd_line(text.rjust(len(line)))
            self._write_blanks(len(line) + 1)
        else:
            self.lines.write(text.rjust(len(line)) + b"\n")
            self.position += len(line) + 1

    def _write_odd_line(self, line: bytes) -> None:
        try:
            self._write_odd(line.decode("utf-8"), None)
        except UnicodeDecodeError as error:
            text = line.decode("utf-8", errors="replace")
            self._write_odd(text, f"not valid UTF-8 at its byte {error.start + 1}")

    def _write_odd(self, text: str, problem: str | None) -> None:
        record = json.dumps({"position": self.position, "line": text, "problem": problem})
        self.longest_odd = max(self.longest_odd, len(record))
        self.odd.write(record + "\n")

    def _write_blanks(self, size: int) -> None:
        """Write `size` bytes of blank lines; the last is empty. At the beginning, skip them."""
        if self.lines.tell() == 1:
            self.skipped += size
            self.position += size
            return
        for _ in range((size - 1) // len(FILLER)):
            self.lines.write(FILLER)
        rest = (size - 1) % len(FILLER)
        self.lines.write(FILLER[-rest:] + b"\n" if rest else b"\n")
        self.position += size


def _is_odd(lines: bytes) -> bool:
    """Whether DuckDB could not read `lines` as they are."""
    if b"\r" in lines or SEPARATOR.encode() in lines:
        return True
    if lines.isascii():
        return False
    try:
        lines.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False
