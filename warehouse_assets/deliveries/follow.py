"""Following the feed for a while: what comes is in the average a moment later.

Whoever follows looks at the feed's file, which costs nothing, and catches up when it has changed.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from warehouse_assets.deliveries.catch_up import Change, DeliveryAverage
from warehouse_assets.ingest.log_files import LogSource

_SECONDS_BETWEEN_LOOKS = 0.1
# A feed that grows all the time is not taken in more parts than people can see.
_SECONDS_BETWEEN_CATCH_UPS = 0.4


def follow(average: DeliveryAverage, seconds: float, tell: Callable[[str], object] = str) -> Change:
    """Catch up, and again whenever the feed has changed; returns what all of it did.

    Args:
        seconds: when to stop; a transaction that has begun by then is ended.
        tell: told in words what is worth knowing meanwhile.

    Raises:
        WarehouseAssetsError: what `DeliveryAverage.catch_up` raises.
    """
    end = time.monotonic() + seconds

    def is_over() -> bool:
        return time.monotonic() >= end

    seen = _look(average.source)
    change = average.catch_up(tell, is_over)
    while not is_over():
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        now = _look(average.source)
        if now != seen:
            seen = now
            change = replace(average.catch_up(tell, is_over), before=change.before)
            time.sleep(_SECONDS_BETWEEN_CATCH_UPS)
    return change


def _look(source: LogSource) -> tuple[int, ...]:
    """What changes whenever the feed does; without a file, or if it cannot be looked at, nothing.

    Which of the two it is, catching up finds out.
    """
    try:
        status = source.path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
