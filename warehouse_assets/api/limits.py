"""How many requests a client may make: each takes a token of the client's bucket."""

import time
from collections import OrderedDict
from collections.abc import Callable

_SECONDS_OF_A_MINUTE = 60.0
_MOST_CLIENTS = 10_000
_A_TOKEN = 1 - 1e-9  # as many seconds as it takes to get one may give a little less


class RequestLimit:
    """At most `per_minute` requests at once, and as many a minute after that; 0 is no limit.

    Of the clients that asked longest ago nothing is remembered when there are too many.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        most_clients: int = _MOST_CLIENTS,
    ) -> None:
        self._per_minute = per_minute
        self._per_second = per_minute / _SECONDS_OF_A_MINUTE
        self._clock = clock
        self._most_clients = most_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_to_wait(self, client: str) -> float:
        """0 if `client` may make a request now, which then counts; else when it may."""
        if not self._per_minute:
            return 0.0
        now = self._clock()
        tokens, since = self._buckets.get(client, (float(self._per_minute), now))
        tokens = min(tokens + (now - since) * self._per_second, float(self._per_minute))
        wait = 0.0 if tokens >= _A_TOKEN else (1 - tokens) / self._per_second
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > self._most_clients:
            self._buckets.popitem(last=False)
        return wait
