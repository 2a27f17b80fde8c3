"""Marks in a log, and how a table remembers up to which it holds the log: as transactions.

What has been taken ends at a mark: a position, and what the file held just before it. Positions
count the bytes of the log on and on, whichever file they are in.
"""

import time
from dataclasses import dataclass

import xxhash
from deltalake import DeltaTable

from warehouse_assets.lake import Transactions

WINDOW_BYTES = 4096
"""How much before a mark is compared."""

SIGNED_64_BITS = 2**63 - 1
"""The numbers that Delta can hold."""


@dataclass(frozen=True)
class Mark:
    """Up to where a log has been taken.

    Args:
        base: the position at which the file begins.
        position: the position of the first byte that has not been taken.
        digest: the hash of what is before it.
        file_number: the file's number in its file system; a renamed file keeps it.
    """

    base: int
    position: int
    digest: int
    file_number: int

    @property
    def offset(self) -> int:
        """Where in its file the mark is."""
        return self.position - self.base


def digest_of(window: bytes) -> int:
    """The hash of what is before a mark, as Delta can hold it."""
    return xxhash.xxh3_64_intdigest(window) & SIGNED_64_BITS


def mark_of(handle: DeltaTable, kind: str) -> Mark | None:
    """Up to where the table holds the log of `kind`; None if it holds nothing of it."""
    base, position, digest, file_number = (
        handle.transaction_version(app_id) for app_id in _app_ids(kind)
    )
    if base is None or position is None or digest is None or file_number is None:
        return None
    return Mark(base, position, digest, file_number)


def transactions_of(mark: Mark, kind: str) -> Transactions:
    """What a commit carries after which the table holds the log of `kind` up to `mark`."""
    numbers = (mark.base, mark.position, mark.digest, mark.file_number)
    # When it was taken is remembered as it is of files.
    return {
        **dict(zip(_app_ids(kind), numbers, strict=True)),
        f"{kind}/taken_at": time.time_ns() // 10**6,
    }


def _app_ids(kind: str) -> tuple[str, ...]:
    return tuple(f"{kind}/log/{part}" for part in ("base", "position", "digest", "file"))
