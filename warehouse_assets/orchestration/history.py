"""Dagster's history in SQLite, kept open while a process uses it.

For each event Dagster makes an SQLAlchemy engine, opens a database and closes it again, several
times over. Every engine compiles each statement anew; and when the last connection closes, SQLite
folds the write-ahead log into the file and removes it. Together that is most of what an event
costs, and a run has hundreds. Here Dagster is given the engine that it had for a database before,
whose connection stays open.

What is written reaches the disk with the log's folding, not with each event. The death of a process
loses nothing; a power cut may lose the last events of a run, which the lake does not rely on.
"""

import sqlite3
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa

# The modules of Dagster that make engines for the history, and by what name.
_MAKERS = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
)
_MAKE = "create_engine"
_MOST_ENGINES = 4  # a history has two databases and one for each run, and runs follow each other

_engines: dict[str, sa.Engine] = {}
_one_at_a_time = threading.Lock()


def keep_open() -> None:
    """Have Dagster take its engines for histories in SQLite from here; nothing depends on it."""
    for name in _MAKERS:
        module = import_module(name)
        if getattr(module, _MAKE, None) is sa.create_engine:
            setattr(module, _MAKE, _engine)


class _OpenPool(sa.pool.QueuePool):
    """Connections that stay open though Dagster disposes of their engine after each event."""

    def dispose(self) -> None:
        """Leave them open."""

    def recreate(self) -> sa.pool.QueuePool:
        """Go on with them."""
        return self

    def close(self) -> None:
        """Close those that are not in use."""
        super().dispose()


def _engine(url: str, **options: Any) -> sa.Engine:
    """The engine that `url` had before, or one as `options` say; the last used are kept."""
    database = Path(sa.make_url(url).database or "")
    if "history" not in database.parts[-3:-1]:
        return sa.create_engine(url, **options)
    with _one_at_a_time:
        engine = _engines.pop(url, None)
        # A history that was deleted begins anew.
        if engine is not None and not database.exists():
            _close(engine)
            engine = None
        if engine is None:
            engine = sa.create_engine(
                url, **{**options, "poolclass": _OpenPool, "max_overflow": -1}
            )
            sa.event.listen(engine, "connect", _sync_seldom)
        _engines[url] = engine
        if len(_engines) > _MOST_ENGINES:
            _close(_engines.pop(next(iter(_engines))))
        return engine


def _sync_seldom(connection: sqlite3.Connection, record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")


def _close(engine: sa.Engine) -> None:
    if isinstance(engine.pool, _OpenPool):
        engine.pool.close()
