"""Figures of the service for Prometheus, in a registry of its own; no label is made of an id."""

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

MEDIA_TYPE = CONTENT_TYPE_LATEST
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class Metrics:
    """What is counted of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "warehouse_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "warehouse_request_seconds",
            "Time from a request to the end of its answer.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._kept = Counter(
            "warehouse_kept_answers",
            "Answers about reviews, by whether they had been kept (hit) or were made (miss).",
            ["outcome"],
            registry=self.registry,
        )
        self._ages = Gauge(
            "warehouse_data_age_seconds",
            "Time since rows of a family of data were last written to the lake.",
            ["family"],
            registry=self.registry,
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
        return generate_latest(self.registry)
