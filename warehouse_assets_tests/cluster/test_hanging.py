"""An engine that hangs is given up within a minute, one that is slow is not."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import pytest

from warehouse_assets.errors import EngineError
from warehouse_assets.lake.spark import SparkServer
from warehouse_assets_tests.sail import Sail

# It takes 40 s, by what gRPC does of itself 86 s.
_SECONDS_UNTIL_GIVEN_UP = 75
# More than an engine may take to say that it is there.
_SECONDS_OF_A_SLOW_QUERY = 40
_ENDLESS = "SELECT sum(a.id * b.id % 7) FROM range(2000000) a CROSS JOIN range(2000000) b"


def _opening(sail: Sail, server: SparkServer) -> None:
    sail.hang()
    server.session()


def _idle(sail: Sail, server: SparkServer) -> None:
    session = server.session()
    session.sql("SELECT 1").collect()
    sail.hang()
    session.sql("SELECT 1").collect()


def _computing(sail: Sail, server: SparkServer) -> None:
    session = server.session()
    Timer(3, sail.hang).start()
    session.sql(_ENDLESS).collect()


def _seconds_until_given_up(sail: Sail, work: Callable[[Sail, SparkServer], None]) -> float:
    server = SparkServer(sail.url)
    began = time.monotonic()
    place = sail.url.removeprefix("sc://")
    given_up = pytest.raises(EngineError, match=f"The engine at {place} did not compute")
    with given_up, server.explained():
        work(sail, server)
    return time.monotonic() - began


def _slow(sail: Sail) -> object:
    def wait(number: int) -> int:
        time.sleep(_SECONDS_OF_A_SLOW_QUERY)
        return number

    server = SparkServer(sail.url)
    with server.explained():
        session = server.session()
        session.udf.register("wait", wait, "INT")
        return session.sql("SELECT wait(7)").collect()[0][0]


def test_an_engine_that_hangs_is_given_up_within_a_minute_and_a_slow_one_is_not(
    tmp_path: Path,
) -> None:
    works = (_opening, _idle, _computing)
    sails = [Sail(tmp_path / f"{number}.log") for number in range(len(works) + 1)]
    try:
        with ThreadPoolExecutor(len(sails)) as pool:
            for sail in sails:
                sail.start()
            slow = pool.submit(_slow, sails[-1])
            for seconds in pool.map(_seconds_until_given_up, sails, works):
                assert seconds < _SECONDS_UNTIL_GIVEN_UP
            assert slow.result() == 7
    finally:
        for sail in sails:
            sail.kill()
