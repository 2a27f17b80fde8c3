"""Ctrl-C in a terminal, and SIGTERM: commands end at once, and run again they go on."""

import os
import pty
import re
import select
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from warehouse_assets.defs.trips.tables import TRIPS
from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import fork, run_command

_SECONDS_UNTIL_IT_HANGS = 120
_LINE = "Stopped. Nothing is half done: the same command, run again, goes on from here."
_TRIP = "Prague,POINT (14.4 50.0),POINT (14.5 50.1),2018-05-28 09:03:40,funny_car\n"


class Terminal:
    """A pseudo-terminal in which a command runs."""

    def __init__(self, house: House, *command: str | Path) -> None:
        self._ours, theirs = pty.openpty()
        words = [str(word) for word in command]
        size = {"TERM": "xterm", "COLUMNS": "200", "LINES": "40"}
        environment = {**os.environ, **house.environment, **size}
        self.process: BaseProcess = fork(_run_in_terminal, os.ttyname(theirs), words, environment)
        self._theirs = theirs
        self.shown = ""

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Read what is shown until something is so."""
        until = time.monotonic() + _SECONDS_UNTIL_IT_HANGS
        while not is_so():
            assert time.monotonic() < until, self.shown
            assert self.process.is_alive(), self.shown
            self._read()

    def press_ctrl_c(self) -> None:
        """Have the terminal send SIGINT to what runs in it."""
        os.write(self._ours, b"\x03")

    def exit_code(self) -> int | None:
        """The exit code once the process has ended."""
        until = time.monotonic() + _SECONDS_UNTIL_IT_HANGS
        while self.process.is_alive() and time.monotonic() < until:
            self._read()
        self._read()
        return self.process.exitcode

    def close(self) -> None:
        """Kill what still runs and close the terminal."""
        self.process.kill()
        self.process.join()
        os.close(self._theirs)
        os.close(self._ours)

    def _read(self) -> None:
        while select.select([self._ours], [], [], 0.05)[0]:
            self.shown += os.read(self._ours, 1 << 16).decode(errors="replace")


def _run_in_terminal(terminal: str, command: list[str], environment: dict[str, str]) -> None:
    """Run a command as a shell does in the foreground of a terminal of its own."""
    os.setsid()
    os.dup2(os.open(terminal, os.O_RDWR), 0)  # the first terminal opened controls the session
    run_command(command, environment, Path(terminal))


@contextmanager
def terminal_of(house: House, *command: str | Path) -> Iterator[Terminal]:
    terminal = Terminal(house, *command)
    try:
        yield terminal
    finally:
        terminal.close()


@contextmanager
def _warehouse_is_written(house: House) -> Iterator[None]:
    """Another program is writing the warehouse; nothing can be published meanwhile."""
    house.settings.home.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(house.warehouse.path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


def _hold(house: House, what: str) -> AbstractContextManager[object]:
    return _warehouse_is_written(house) if what == "warehouse" else house.lake.lock(what)


@pytest.mark.parametrize(
    ("held", "rows", "number"),
    [("rejected_records", 0, signal.SIGINT), ("warehouse", 5000, signal.SIGTERM)],
    ids=["storing", "publishing"],
)
def test_ingest_ends_and_run_again_takes_every_row_once(
    house: House, tmp_path: Path, held: str, rows: int, number: int
) -> None:
    trips = tmp_path / "trips.csv"
    trips.write_text(f"region,origin_coord,destination_coord,datetime,datasource\n{_TRIP * 5000}")

    with _hold(house, held), terminal_of(house, "warehouse", "ingest", trips) as terminal:
        terminal.wait_until(lambda: "storing trips" in terminal.shown)
        terminal.wait_until(lambda: _rows(house) == rows)
        if number == signal.SIGINT:
            terminal.press_ctrl_c()
        else:
            terminal.process.terminate()
        # It ends though what it waits for is held all the time.
        assert terminal.exit_code() == 128 + number, terminal.shown

    told = terminal.shown.rstrip().splitlines()
    assert told[-1] == _LINE
    assert "Traceback" not in terminal.shown
    assert "Error" not in terminal.shown
    # The progress bars hide the cursor.
    assert terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l")
    assert _statuses(house) == ["CANCELED"]

    with terminal_of(house, "warehouse", "ingest", trips) as terminal:
        assert terminal.exit_code() == 0, terminal.shown

    assert_told_in_order(terminal.shown)
    assert house.published("weekly_trips", "region, trips") == [("Prague", 5000)]
    assert house.waiting() == []
    assert len(house.archived()) == 1
    assert list(house.settings.scratch.iterdir()) == []
    assert _statuses(house) == ["CANCELED", "SUCCESS"]


def assert_told_in_order(shown: str) -> None:
    """The terminal showed what was done with each table, and for how long."""
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown))
    found = (re.match(r"(\w+ing \w+) .*\d:\d\d:\d\d$", line) for line in lines)
    activities = [activity[1] for activity in found if activity]
    for table in ("daily_trips", "trip_groups", "weekly_trips"):
        computing, publishing = f"computing {table}", f"publishing {table}"
        assert computing in activities, shown
        last_of_computing = len(activities) - activities[::-1].index(computing)
        assert last_of_computing <= activities.index(publishing)


def _rows(house: House) -> int:
    handle = house.lake.table(TRIPS).open_existing()
    return handle.count() if handle else 0


def _statuses(house: House) -> list[str]:
    history = house.settings.dagster_home / "history" / "runs.db"
    with closing(sqlite3.connect(history)) as connection:
        return [status for (status,) in connection.execute("SELECT status FROM runs ORDER BY id")]


def test_a_query_that_would_take_for_ever_ends(house: House, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    endless = "SELECT count(*) FROM range(1000000000000) AS a, range(1000) AS b"

    with terminal_of(
        house, "warehouse", "sql", f"COPY (SELECT 1) TO '{begun}'; {endless}"
    ) as terminal:
        while not begun.exists() and terminal.process.is_alive():
            time.sleep(0.05)
        terminal.press_ctrl_c()

        assert terminal.exit_code() == 128 + signal.SIGINT, terminal.shown

    assert terminal.shown.rstrip().splitlines()[-1] == _LINE
    assert "Traceback" not in terminal.shown
