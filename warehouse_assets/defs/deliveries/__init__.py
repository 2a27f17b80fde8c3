"""Deliveries: their running average, and the tables of their steps. Here only `ingest`.

This module and those that it imports need nothing but the standard library.
"""

from collections.abc import Mapping
from datetime import timedelta

from warehouse_assets.defs.deliveries.average import RunningAverage

_running = RunningAverage()


def ingest(record: Mapping[str, object]) -> timedelta | None:
    """Take one step of a delivery; returns the average duration of all successful ones so far.

    It is the average of what this process has been given; `RunningAverage` makes others, and the
    warehouse keeps one that survives.

    Args:
        record: `Delivery Step` (1 to 4), `Customer` (a whole number) and `Timestamp` (a `datetime`
            or ISO 8601 text, see `times`); also written `deliveryStep`, `customer`, `timestamp`.

    Returns:
        The average, or None before the first success.

    Raises:
        RecordError: it is no such record; nothing has changed.
    """
    return _running.ingest(record)
