"""Machines that share a bucket, and perhaps a database, but no disk.

Each is a process with a home, a working folder and an environment of its own.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import dagster as dg

from warehouse_assets.lake import maintain
from warehouse_assets.runs import failed_steps
from warehouse_assets_tests.house import Home, House, vote
from warehouse_assets_tests.integration.processes import fork, tell_in
from warehouse_assets_tests.stress import tasks
from warehouse_assets_tests.stress.points import Point, arm

VOTES = ("votes", "rejected_records", "votes_per_post_per_week")
_SECONDS_BEFORE_IT_HANGS = 300


class Machine:
    """One of them."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.environment = {**tasks.ENVIRONMENT, **environment}
        self._process: BaseProcess | None = None

    @property
    def said(self) -> str:
        """What its last process has said."""
        return (self.home / "said").read_text()

    def start(self, task: Callable[..., None], *given: object) -> None:
        """Have it do `task`, which is given its home and environment first."""
        told = self.home / "said"
        told.touch()
        self._process = fork(_do, told, task, self.home, self.environment, *given)

    def wait(self) -> int | None:
        """The exit code of what was started last."""
        assert self._process is not None
        self._process.join(_SECONDS_BEFORE_IT_HANGS)
        code = self._process.exitcode
        self._process.kill()
        return code

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        assert self._process is not None
        self._process.kill()

    def do(self, task: Callable[..., None], *given: object) -> int | None:
        """As `start`; returns the exit code, negative for a signal."""
        self.start(task, *given)
        return self.wait()


def _do(
    told: Path,
    task: Callable[..., None],
    home: Path,
    environment: Mapping[str, str],
    *given: object,
) -> None:
    tell_in(told)
    os.environ.update(environment)
    os.chdir(home)
    task(home, environment, *given)
    sys.stdout.flush()
    os._exit(0)


def run(home: Path, environment: Mapping[str, str], tables: Sequence[str], times: int = 1) -> None:
    """Materialise the tables, some times; each run must succeed."""
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance, **environment)
        for _ in range(times):
            result = house.run(*tables, checks=False)
            assert result.success, failed_steps(result)


def load_often(home: Path, environment: Mapping[str, str], first: int, times: int) -> None:
    """Deliver two votes of their own and something unusable, and materialise, some times."""
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance, **environment)
        for number in range(first, first + times):
            records = [vote(2 * number, 1), vote(2 * number + 1, number), {"Id": f"x{number}"}]
            house.deliver(f"votes-{number}.jsonl", records)
            result = house.run(*VOTES, checks=False)
            assert result.success, failed_steps(result)


def maintain_all(home: Path, environment: Mapping[str, str], tables: Sequence[str]) -> None:
    """Maintain the tables that there are, keeping nothing for readers of old versions."""
    house = Home(home, **environment)
    for table in tasks.UNDER_FIRE:
        stored = house.lake.table(table)
        if stored.exists() and table.name in tables:
            maintain(house.lake, stored, 0)


def dying(
    home: Path,
    environment: Mapping[str, str],
    task: Callable[..., None],
    points: Sequence[Point],
    *given: object,
) -> None:
    """Do `task`, and be killed at the first of the points that it comes to."""
    arm(points, home, home / "died")
    task(home, environment, *given)
