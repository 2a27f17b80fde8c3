"""What a SQL database of our own is for, as messages about it say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Use:
    """What a database is for.

    Args:
        name: with which a message begins, before its URL.
        setting: which names it.
        remedy: why nothing is lost when it cannot be read, and what to do.
        lock: a number of its own, by which its writers take turns in PostgreSQL.
    """

    name: str
    setting: str
    remedy: str
    lock: int
