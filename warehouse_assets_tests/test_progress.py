import threading
import time
from typing import cast

import duckdb
import pytest

from warehouse_assets.progress import Progress, heard_by, query_progress, report, tell

_OFTEN = 0.001


class FakeConnection:
    """What `query_progress` uses of a DuckDB connection; each reading takes the next figure."""

    def __init__(self, percents: list[float], last: float = -1.0) -> None:
        self.executed: list[str] = []
        self.percents = [*percents, last]
        self.last = last
        self.is_read = threading.Event()

    def execute(self, statement: str) -> None:
        self.executed.append(statement)

    def query_progress(self) -> float:
        if not self.percents:
            self.is_read.set()
            return -1.0
        percent = self.percents.pop(0)
        if percent == self.last:
            self.is_read.set()
        return percent


def shares_of(percents: list[float], last: float = -1.0) -> list[float]:
    """What is told of these figures, which are read up to the `last` one, or all."""
    connection = FakeConnection(percents, last)
    told: list[float] = []
    with query_progress(cast(duckdb.DuckDBPyConnection, connection), told.append, _OFTEN):
        assert connection.is_read.wait(60)
    return told


def test_percents_of_the_first_statement_are_told_as_shares_up_to_1() -> None:
    assert shares_of([12.5, 50.0, 100.4])[:3] == [0.125, 0.5, 1.0]
    assert shares_of([0.0, 0.0, 25.0])[:1] == [0.25]
    assert shares_of([50.0, 100.0], last=10.0) == [0.5, 1.0]
    assert shares_of([50.0, 100.0]) == [0.5, 1.0]


def test_nothing_is_printed_by_duckdb_itself() -> None:
    connection = FakeConnection([])
    with query_progress(cast(duckdb.DuckDBPyConnection, connection), lambda _: None):
        pass
    assert connection.executed == [
        "SET enable_progress_bar = true",
        "SET enable_progress_bar_print = false",
    ]


def test_nothing_is_told_after_the_block_nor_after_an_error() -> None:
    threads = threading.active_count()
    connection = cast(duckdb.DuckDBPyConnection, FakeConnection([50.0] * 1_000_000))
    with pytest.raises(ZeroDivisionError), query_progress(connection, lambda _: None):
        raise ZeroDivisionError
    assert threading.active_count() == threads


def test_a_real_query_is_watched_while_it_runs(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[float] = []
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE numbers AS SELECT range AS n FROM range(3_000_000)")
        give_up = time.monotonic() + 120
        while not told and time.monotonic() < give_up:
            with query_progress(connection, told.append, _OFTEN):
                connection.execute("SELECT sum(hash(n::VARCHAR || 'a') % 2) FROM numbers")
    assert told
    assert all(0 < share <= 1 for share in told)
    assert capfd.readouterr().out == ""


def test_what_is_told_is_heard_by_all_around_it() -> None:
    sentences: list[str] = []
    outer: list[str | Progress] = []
    half = Progress("pets", "reading", 1, 2, "rows")
    with heard_by(outer.append, outer.append):
        with heard_by(tell=sentences.append):
            tell("Rex came.")
            report(half)
        tell("Tom came.")
    tell("Nobody hears this.")
    report(half)
    assert sentences == ["Rex came."]
    assert outer == ["Rex came.", half, "Tom came."]


def test_another_thread_tells_those_who_listen_where_the_query_runs() -> None:
    told: list[Progress] = []
    connection = FakeConnection([50.0])

    def tell_of(share: float) -> None:
        report(Progress("pets", "reading", round(share * 100), 100))

    with (
        heard_by(report=told.append),
        query_progress(cast(duckdb.DuckDBPyConnection, connection), tell_of, _OFTEN),
    ):
        assert connection.is_read.wait(60)
    assert told[0] == Progress("pets", "reading", 50, 100)
