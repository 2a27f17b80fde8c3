"""Ranges of days, as people ask for them."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Days:
    """A range of days, both included; None is no limit.

    Raises:
        ValueError: the first is after the last.
    """

    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.first and self.last and self.first > self.last:
            raise ValueError(f"from {self.first} is after to {self.last}")


ANY_DAY = Days()
"""No limit at either end."""
