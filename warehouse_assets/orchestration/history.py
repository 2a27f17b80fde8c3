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
from collections import OrderedDict
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

# The modules of Dagster that make engines for the history, and by what name.
_MAKERS = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
)
_MAKE = "create_engine"
_MOST_ENGINES = 4  # a history has two databases and one for each run, and runs follow each other


def keep_open(instance: dg.DagsterInstance) -> None:
    """Keep the databases of `instance` open as long as this process uses them.

    Nothing is done where history is kept otherwise, and nothing depends on it.
    """
    keep_open_in(Path(instance.storage_directory()).parent)


def keep_open_in(home: Path) -> None:
    """The same for the history in the folder `home`, if there will be one."""
    _engines.keep(home.absolute() / "history")


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


class _Engines:
    """The engines of the databases that this process used last."""

    def __init__(self) -> None:
        self._histories: set[Path] = set()
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def keep(self, history: Path) -> None:
        """Have Dagster take its engines for the databases below `history` from here."""
        self._histories.add(history)
        for name in _MAKERS:
            module = import_module(name)
            if getattr(module, _MAKE, None) is sa.create_engine:
                setattr(module, _MAKE, self.engine)

    def engine(self, url: str, **options: Any) -> sa.Engine:
        """An engine for `url`: that which it had before, or one as `options` say."""
        with self._one_at_a_time:
            known = self._engines.get(url)
            # A history that was deleted begins anew.
            if known is not None and not _database(known.url).exists():
                _close(self._engines.pop(url))
                known = None
            if known is None:
                database = _database(sa.make_url(url))
                if self._histories.isdisjoint(database.parents):
                    return sa.create_engine(url, **options)
                self._engines[url] = known = _engine(url, options)
            self._engines.move_to_end(url)
            if len(self._engines) > _MOST_ENGINES:
                _close(self._engines.popitem(last=False)[1])
            return known


def _database(url: sa.URL) -> Path:
    return Path(url.database or "")


def _engine(url: str, options: Mapping[str, Any]) -> sa.Engine:
    pooled = {**options, "poolclass": _OpenPool, "max_overflow": -1}
    engine = sa.create_engine(url, **pooled)
    sa.event.listen(engine, "connect", _sync_seldom)
    return engine


def _sync_seldom(connection: sqlite3.Connection, record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")


def _close(engine: sa.Engine) -> None:
    if isinstance(engine.pool, _OpenPool):
        engine.pool.close()


_engines = _Engines()
