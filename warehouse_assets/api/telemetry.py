"""What the service tells of itself: its log, a line of it for each request, and its figures."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

LOGS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "words": {
            "class": "warehouse_assets.terminal_text.VisibleFormatter",
            "format": "%(asctime)s %(levelname)s %(message)s",
        },
        "access": {"format": "%(message)s"},
    },
    "handlers": {
        "words": {"class": "logging.StreamHandler", "formatter": "words"},
        "access": {"class": "logging.StreamHandler", "formatter": "access"},
    },
    "loggers": {
        "uvicorn": {"handlers": ["words"], "level": "WARNING", "propagate": False},
        "warehouse_assets": {"handlers": ["words"], "level": "INFO", "propagate": False},
        "warehouse_assets.api.access": {
            "handlers": ["access"],
            "level": "INFO",
            "propagate": False,
        },
    },
}
"""How Python's logging is configured; all goes to standard error."""
METRICS_TYPE = CONTENT_TYPE_LATEST
"""The media type of `Metrics.told`."""

_SECONDS_UNTIL_WRITTEN = 0.2
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_access = logging.getLogger("warehouse_assets.api.access")


class AccessLog:
    """Collects lines for a moment, since each writing costs as much as a short answer.

    Without what follows the path: that may hold addresses of webhooks.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add a request that has been answered; on the event loop only."""
        if not _access.isEnabledFor(logging.INFO):
            return
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._lines.append(json.dumps({"at": at, **entry}))
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_SECONDS_UNTIL_WRITTEN, self.flush)

    def flush(self) -> None:
        """Write what has been collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            _access.info("%s", "\n".join(self._lines))
            self._lines.clear()


class Metrics:
    """What is counted of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "warehouse_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "warehouse_request_seconds",
            "Time from a request to the end of its answer.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._kept = Counter(
            "warehouse_kept_answers",
            "Answers about reviews, by whether they had been kept (hit) or were made (miss).",
            ["outcome"],
            registry=self._registry,
        )
        self._ages = Gauge(
            "warehouse_data_age_seconds",
            "Time since rows of a family of data were last written to the lake.",
            ["family"],
            registry=self._registry,
        )
        self._hits = self._kept.labels("hit")
        self._misses = self._kept.labels("miss")
        # Finding the figure by its labels takes longer than counting; there are few of them.
        self._of_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that has been answered; `route` is the template of its path."""
        key = (method, route, status)
        found = self._of_requests.get(key)
        if found is None:
            method = method if method in _METHODS else "other"
            found = (
                self._requests.labels(method, route, str(status)),
                self._seconds.labels(method, route),
            )
            if method != "other":
                self._of_requests[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def count_kept(self, is_hit: bool) -> None:
        """Count an answer that had been kept, or was made."""
        (self._hits if is_hit else self._misses).inc()

    def told(self, changed: Mapping[str, float | None]) -> bytes:
        """All figures, as Prometheus reads them; `changed` is when each family did, since 1970."""
        for family, moment in changed.items():
            if moment is not None:
                self._ages.labels(family).set(time.time() - moment)
        return generate_latest(self._registry)
