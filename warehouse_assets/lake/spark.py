"""A session on a Spark Connect server: Spark, Databricks, EMR or Sail.

The client comes with the extra `cluster`, and is imported when a server is first asked.
"""

from __future__ import annotations

import os
import re
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warehouse_assets.errors import EngineError, SettingError

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

# A server that died refuses each try at once: with these pauses the error comes within a quarter
# of a minute, and a server that restarts meanwhile is found again.
_TRIES, _FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 3, 500, 5_000
# One that hangs, or whose machine vanished, does not even refuse: it is asked, and gone where it
# does not answer in time. One that computes answers, be it after 10 s: Sail was seen to. Without
# the last two of these gRPC waits for a minute, and after two questions asks but once a minute.
_CHANNEL = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
]
_SECONDS_OF_A_FAILURE = 30


class SparkServer:
    """A server, and this process's session on it, opened when it is first used.

    Args:
        url: `sc://host:port`, with what else Spark Connect knows: `sc://host:443/;use_ssl=true`.

    Attributes:
        place: its host and port, without what may be secret.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.place = url.partition("://")[2].partition("/")[0]
        self._opened: tuple[int, SparkSession] | None = None  # a forked process opens its own
        self._failed: tuple[float, EngineError] | None = None

    def session(self) -> SparkSession:
        """The session, in UTC.

        Raises:
            SettingError: the client is not installed.
        """
        if self._opened is not None and self._opened[0] == os.getpid():
            return self._opened[1]
        main = sys.modules["__main__"]
        if not hasattr(main, "__file__"):
            # The client takes such a process, forked or of `python -c`, for its own tests: ends it.
            # A name of no file would be looked for by processes that it starts.
            main.__file__ = None
        from pyspark.sql.connect.client import DefaultChannelBuilder
        from pyspark.sql.connect.client.retries import DefaultPolicy
        from pyspark.sql.connect.session import SparkSession

        channel = DefaultChannelBuilder(self._url, _CHANNEL)
        session = SparkSession.builder.channelBuilder(channel).create()
        self._opened = os.getpid(), session
        session.client.set_retry_policies(
            [
                DefaultPolicy(
                    max_retries=_TRIES,
                    initial_backoff=_FIRST_PAUSE_MS,
                    max_backoff=_LONGEST_PAUSE_MS,
                )
            ]
        )
        session.conf.set("spark.sql.session.timeZone", "UTC")
        return session

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Have an error of the server name it, and say what to do.

        A server that could not be reached a moment ago is not asked again: a run has many tables.

        Raises:
            EngineError: whatever it was.
            SettingError: the client is not installed.
        """
        try:
            from pyspark.errors import PySparkException
        except ImportError as error:
            raise SettingError(
                f"ENGINE_URL is set, but the client of Spark Connect is not installed ({error}). "
                "Install it (`pip install '.[cluster]'`), or unset ENGINE_URL."
            ) from error
        if self._failed is not None and time.monotonic() - self._failed[0] < _SECONDS_OF_A_FAILURE:
            raise self._failed[1]
        try:
            # The client says so on its own, too.
            warnings.filterwarnings("ignore", r"\[RETRIES_EXCEEDED\]")
            yield
        except PySparkException as error:
            self._close()
            # Of a connection there is a page; what is wrong with it is in one of its lines.
            details = re.search(r'details = "(.*)"', str(error))
            said = " ".join((details[1] if details else str(error)).split())[:500].rstrip(".")
            failure = EngineError(
                f"The engine at {self.place} did not compute: {said}. No table was changed by "
                "it; the same run again continues here. See whether it runs (setting ENGINE_URL)."
            )
            if details:
                self._failed = time.monotonic(), failure
            raise failure from error

    def _close(self) -> None:
        """Let the next computation open another session."""
        if self._opened is not None:
            _, session = self._opened
            # Else the client would try to end it until this process may exit.
            session.client.set_retry_policies([])
            session.client.close()
            self._opened = None
