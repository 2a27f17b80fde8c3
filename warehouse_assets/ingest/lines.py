"""Lines of a stream of bytes, each with where it begins: for Python, or for DuckDB by Arrow.

A line is good for any reader: it is valid UTF-8, and without the NUL bytes and byte-order marks
that may stand before it (see `plain_text`). One that cannot be is given with the reason. Lines are
read about a mebibyte at a time, and one longer than any record is never held as a whole.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, count
from operator import add
from typing import BinaryIO, NamedTuple

from arro3.core import Array, DataType, Field, RecordBatch, Schema, Table

from warehouse_assets.ingest.plain_text import may_have_stray_bytes, without_stray_bytes

MOST_LINE_BYTES = 16 << 20
"""The longest line that is read: DuckDB's own limit for a record of JSON."""

TAIL_BYTES = 4096
"""How much of the end of what was read is kept, to tell whether it is there still."""

NOT_UTF8 = "not valid UTF-8"
"""Why a line cannot be used; its text has replacement characters then."""

BLOCK_BYTES = 1 << 20
"""How much is read at once."""

_CHARACTERS_OF_A_LONG_LINE = 1000
_BYTES_OF_A_LONG_LINE = 4 * _CHARACTERS_OF_A_LONG_LINE
_SCHEMA = Schema(
    [
        Field("arrival", DataType.int64()),
        Field("position", DataType.int64()),
        Field("line", DataType.utf8()),
        Field("problem", DataType.utf8()),
        Field("seen", DataType.utf8()),
    ]
)


class Problem(NamedTuple):
    """Why a line cannot be used whatever it says, and what was seen."""

    reason: str
    seen: str | None = None


@dataclass(frozen=True)
class Lines:
    """Some lines that follow each other.

    Args:
        positions: where each begins: in bytes, or its number from 1.
        texts: what they hold, without line ends, in valid UTF-8.
        problems: why a line cannot be used whatever its text, by its index here.
    """

    positions: "array[int]"
    texts: list[bytes]
    problems: Mapping[int, Problem]

    def __iter__(self) -> Iterator[tuple[int, bytes, Problem | None]]:
        """Position, text and problem of each line."""
        problem_of = self.problems.get
        for index, (position, text) in enumerate(zip(self.positions, self.texts, strict=True)):
            yield position, text, problem_of(index)

    def to_arrow(self, arrival: int = 0) -> RecordBatch:
        """The same with the columns `arrival`, `position`, `line`, `problem` and `seen`.

        Args:
            arrival: the number under which they came.
        """
        problems: list[str | None] = [None] * len(self.texts)
        seen = problems.copy()
        for index, problem in self.problems.items():
            problems[index], seen[index] = problem
        return RecordBatch.from_arrays(
            [
                Array.from_buffer(array("q", [arrival]) * len(self.texts)),
                Array.from_buffer(self.positions),
                Array(self.texts, DataType.binary()).cast(DataType.utf8()),
                Array(problems, DataType.utf8()),
                Array(seen, DataType.utf8()),
            ],
            schema=_SCHEMA,
        )


def arrow_table(parts: Iterable[RecordBatch]) -> Table:
    """Lines as one table, which DuckDB reads where it is registered, in parallel."""
    return Table.from_batches(list(parts), schema=_SCHEMA)


class _BegunLine:
    """A line of which the end has not been read.

    Attributes:
        text: how it begins behind stray bytes; longer than any line if it is too long.
        size: bytes read of it.
        tail: the last of them.
    """

    def __init__(self, longest: int, begun: bytes = b"") -> None:
        self._longest = longest
        self.text, self.size, self.tail = b"", 0, b""
        self.add(begun)

    @property
    def is_whole(self) -> bool:
        """Whether `text` is all of it."""
        return len(self.text) == self.size

    def add(self, read: bytes) -> None:
        """Go on with it."""
        self.size += len(read)
        self.tail = (self.tail + read)[-TAIL_BYTES:]
        if len(self.text) <= self._longest:
            self.text = without_stray_bytes(self.text + read)


class LineReader:
    """Reads whole lines of a stream, from where it stands.

    Args:
        stream: what is read.
        size: how many bytes of it.
        position: where the first line begins; the number of the first line if `is_numbered`.
        is_final: whether what is behind the last line end is a line.
        is_numbered: whether lines are numbered, instead of told where they begin in bytes.
        block_bytes: how much is read at once.
        longest: the most bytes that a line may have.

    Attributes:
        size: bytes of all lines that have been given, with their line ends.
        tail: the last `TAIL_BYTES` of them.
    """

    def __init__(
        self,
        stream: BinaryIO,
        size: int,
        position: int = 0,
        *,
        is_final: bool = True,
        is_numbered: bool = False,
        block_bytes: int = BLOCK_BYTES,
        longest: int = MOST_LINE_BYTES,
    ) -> None:
        self._stream = stream
        self._left = size
        self._position = position
        self._is_final = is_final
        self._is_numbered = is_numbered
        self._block_bytes = block_bytes
        self._longest = longest
        self.size = 0
        self.tail = b""

    def read(self, most_bytes: int | None = None) -> Iterator[Lines]:
        """The lines, part by part; none is in two parts.

        Args:
            most_bytes: parts that begin farther behind the first than that are not read.
        """
        begun = _BegunLine(self._longest)
        while self._left > 0 and (read := self._stream.read(min(self._block_bytes, self._left))):
            self._left -= len(read)
            if not begun.is_whole and (end := read.find(b"\n")) >= 0:
                begun.add(read[:end])
                yield self._one(begun, line_end=1)
                begun, read = _BegunLine(self._longest), read[end + 1 :]
            if end := read.rfind(b"\n") + 1:
                yield self._many(begun.text + read[:end])
                begun = _BegunLine(self._longest, read[end:])
            else:
                begun.add(read)
            if most_bytes is not None and self.size >= most_bytes:
                return
        if self._is_final and begun.size:
            yield self._one(begun, line_end=0)

    def _many(self, content: bytes) -> Lines:
        """Whole lines with their line ends."""
        texts = content.split(b"\n")
        del texts[-1]
        positions = self._positions(texts)
        self._note(len(content), content)
        problems: dict[int, Problem] = {}
        if may_have_stray_bytes(content):
            texts = [without_stray_bytes(text) for text in texts]
        if len(content) > self._longest or not _is_utf8(content):
            for index, text in enumerate(texts):
                texts[index], problem = _checked(text, self._longest)
                if problem is not None:
                    problems[index] = problem
        return Lines(positions, texts, problems)

    def _one(self, line: _BegunLine, line_end: int) -> Lines:
        """A line that was not read at once, or that has no line end."""
        text, problem = _checked(line.text, self._longest)
        positions = self._positions([text])
        self._note(line.size + line_end, line.tail + b"\n" * line_end)
        if not self._is_numbered:
            self._position = positions[0] + line.size + line_end
        return Lines(positions, [text], {} if problem is None else {0: problem})

    def _positions(self, texts: list[bytes]) -> "array[int]":
        """Where lines begin; those after them begin at `_position`."""
        if self._is_numbered:
            positions = array("q", range(self._position, self._position + len(texts) + 1))
        else:
            ends = accumulate(map(len, texts), initial=self._position)
            positions = array("q", map(add, ends, count()))
        self._position = positions.pop()
        return positions

    def _note(self, size: int, content: bytes) -> None:
        self.size += size
        self.tail = (self.tail + content[-TAIL_BYTES:])[-TAIL_BYTES:]


def _checked(text: bytes, longest: int) -> tuple[bytes, Problem | None]:
    """A text in valid UTF-8, and why it is not what was read."""
    if len(text) > longest:
        shown = text[:_BYTES_OF_A_LONG_LINE].decode("utf-8", errors="replace")
        problem = Problem(f"longer than {longest >> 20} MiB")
        return shown[:_CHARACTERS_OF_A_LONG_LINE].encode(), problem
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        shown = text.decode("utf-8", errors="replace")
        return shown.encode(), Problem(NOT_UTF8, f"byte {error.start + 1}")
    return text, None


def _is_utf8(content: bytes) -> bool:
    if content.isascii():
        return True
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
