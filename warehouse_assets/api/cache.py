"""The answers that are kept in memory, each for as long as the tables that it was made of stay."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from warehouse_assets.api.database import Versions
from warehouse_assets.api.formats import Format
from warehouse_assets.warehouse import PublishedVersion

MOST_BYTES = 128 * 1024 * 1024
_BYTES_OF_OVERHEAD = 1000  # of a kept answer: its key, its headers, their places
_LARGEST_SHARE = 16  # an answer larger than the sixteenth part of all is not kept

Key = tuple[bytes, bytes, Format]
"""Path and query as they were sent, and the format that is preferred."""
RawHeaders = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Kept:
    """An answer that needs only to be sent.

    Args:
        versions: the tables that it was made of.
        route: the template of the path that it was asked by.
    """

    versions: Sequence[PublishedVersion]
    route: str
    headers: RawHeaders
    body: bytes

    def is_of(self, published: Versions) -> bool:
        """Whether it would be made the same way of what is published."""
        return all(published.get(version.table) == version for version in self.versions)


class Cache:
    """Answers by what was asked; those asked for longest ago go first.

    Args:
        most_bytes: what all of them together may take.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, Kept] = OrderedDict()

    def get(self, key: Key) -> Kept | None:
        """What was kept, which may be of former versions."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Key, answer: Kept) -> None:
        """Keep an answer, instead of a former one, if it is not too large."""
        if (former := self._kept.pop(key, None)) is not None:
            self._bytes -= _size(key, former)
        if _size(key, answer) > self._most_bytes // _LARGEST_SHARE:
            return
        self._kept[key] = answer
        self._bytes += _size(key, answer)
        while self._bytes > self._most_bytes:
            self._bytes -= _size(*self._kept.popitem(last=False))


def _size(key: Key, answer: Kept) -> int:
    return len(answer.body) + 2 * len(key[0] + key[1]) + _BYTES_OF_OVERHEAD
