"""What the Dagster UI shows of the running average: numbers, and a small chart over time."""

import math
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from warehouse_assets.deliveries.catch_up import Change, DeliveryAverage
from warehouse_assets.deliveries.state import Point, history

_BARS = "▁▂▃▄▅▆▇█"
_POINTS = 60
_CHANGES = 1200
"""How many of the last changes the chart is of; it shows some of them, evenly."""


def account_of(average: DeliveryAverage, change: Change) -> dict[str, Any]:
    """Metadata of a materialisation after `change`."""
    now = change.after
    account: dict[str, Any] = {
        "average": "none yet" if now.average is None else str(now.average),
        "successes": now.successes,
        "abandoned": now.abandoned,
        "open": now.open,
        "rejected": now.rejected + now.unusable,
        "repetitions": now.repetitions,
        "records": now.records,
        "records_taken": now.records - change.before.records,
        "lag_bytes": change.lag,
        "feed_position": now.position,
        "is_source_missing": change.is_missing,
        "is_unchanged": not change.is_any,
        "chart": dg.MetadataValue.md(chart(history(average.database, most=_CHANGES))),
    }
    if now.average is not None:
        account["average_minutes"] = now.average / timedelta(minutes=1)
    return account


def chart(points: Sequence[Point]) -> str:
    """The averages of `points`, 60 of them at most and always the last, as bars in Markdown.

    With the least, the greatest and the times.
    """
    step = max(math.ceil(len(points) / _POINTS), 1)
    points = points[(len(points) - 1) % step :: step]
    averages = [point.average for point in points if point.average is not None]
    if not averages:
        return "No delivery has been successful yet."
    least, greatest = min(averages), max(averages)
    span = (greatest - least) or timedelta(microseconds=1)
    bars = "".join(_BARS[round((one - least) / span * (len(_BARS) - 1))] for one in averages)
    first, last = (time.strftime("%H:%M:%S", time.gmtime(points[i].at)) for i in (0, -1))
    return f"`{bars}`\n\nfrom {least} to {greatest}, {first} to {last} UTC"
