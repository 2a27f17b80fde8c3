"""Hearing from PostgreSQL that something was published, so that answers can be kept until then."""

import importlib
import logging
import select
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from warehouse_assets.warehouse.publish import PUBLISHED

# It has no types.
psycopg2: Any = importlib.import_module("psycopg2")

_DRIVER = "postgresql+psycopg2"
_CHANNEL = "warehouse_published"
_SECONDS_BETWEEN_LOOKS = 2.0
# A server that falls silent is noticed by then; what was kept is not used any more.
_SECONDS_OF_TRUST = 5.0
_SECONDS_TO_CONNECT = 3
_SECONDS_UNTIL_ANOTHER_TRY = 1.0
_MILLISECONDS_WITHOUT_ANSWER = 5000
_logger = logging.getLogger(__name__)


class Publications:
    """Counts, in a thread of its own, what the warehouse at `url` says was published.

    Every publishing says so when it is committed. From time to time the notes of what is published
    are read, too: of a database that was restored nothing is said.
    """

    def __init__(self, url: sa.URL) -> None:
        self._url = url
        self._number = 0
        self._trusted_until = 0.0
        self._notes: object = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def heard(self) -> int | None:
        """A number that grows with each publishing; None while they would not be heard of."""
        return self._number if time.monotonic() < self._trusted_until else None

    def start(self) -> None:
        """Begin to listen, in the background."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._keep_listening, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._trusted_until = 0.0

    def _keep_listening(self) -> None:
        was_heard = True
        while not self._stopping.is_set():
            try:
                connection = connect(self._url)
                try:
                    was_heard = True
                    self._listen(connection)
                finally:
                    self._trusted_until = 0.0
                    self._number += 1
                    with suppress(psycopg2.Error):
                        connection.close()
            except (psycopg2.Error, OSError) as error:
                if was_heard:
                    _logger.warning("The warehouse cannot be listened to: %s", _first_line(error))
                was_heard = False
            self._stopping.wait(_SECONDS_UNTIL_ANOTHER_TRY)

    def _listen(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {_CHANNEL}")
            while not self._stopping.is_set():
                notes = _notes(cursor)
                if connection.notifies or notes != self._notes:
                    connection.notifies.clear()
                    self._notes = notes
                    self._number += 1
                self._trusted_until = time.monotonic() + _SECONDS_OF_TRUST
                self._wait(connection)

    def _wait(self, connection: Any) -> None:
        """Return when it is time to look again, having counted what was published until then."""
        until = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        while (seconds := until - time.monotonic()) > 0 and not self._stopping.is_set():
            # In short turns, so that the end of the service need not wait.
            if select.select([connection], [], [], min(seconds, 0.25))[0]:
                connection.poll()
                if connection.notifies:
                    connection.notifies.clear()
                    self._number += 1


def connect(url: sa.URL) -> Any:
    """A connection that only reads, each statement by itself, and notices a server that is gone."""
    options: dict[str, Any] = {
        "connect_timeout": _SECONDS_TO_CONNECT,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": _MILLISECONDS_WITHOUT_ANSWER,
    }
    driven = url.set(drivername=_DRIVER)
    arguments, named = driven.get_dialect()().create_connect_args(driven)
    connection = psycopg2.connect(*arguments, **{**options, **named})
    connection.set_session(readonly=True, autocommit=True)
    return connection


def without_nul(values: Mapping[str, object]) -> dict[str, object]:
    """`values` as PostgreSQL takes them; in what is published, NUL is replaced the same way."""
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in values.items()
    }


def _notes(cursor: Any) -> object:
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (str(PUBLISHED.name),))
    if not cursor.fetchone()[0]:
        return None
    cursor.execute(f'SELECT *, xmin::text FROM "{PUBLISHED.name}" ORDER BY 1')
    return cursor.fetchall()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
