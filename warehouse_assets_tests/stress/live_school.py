"""One trial: a school lives at full speed while the warehouse catches up and is killed in it.

In the end every student, batch, test run and unusable line that the sources hold is there exactly
once, and the ranking is what plain Python computes from them.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from warehouse_assets.runs import failed_steps
from warehouse_assets.samples.places import Places
from warehouse_assets_tests.defs.school.schoolhouse import SchoolHouse
from warehouse_assets_tests.samples.school_truth import truth
from warehouse_assets_tests.stress.warm import SECONDS_BEFORE_IT_HANGS, Child, DifferenceError

_SIMULATE = "from warehouse_assets.cli import main; main()"
_SECONDS_TO_END = 600
# What the server and the lock of the students may make fail while the school lives.
_MAY_FAIL = {"batches", "students"}


class Lessons:
    """What was done in all trials so far."""

    def __init__(self) -> None:
        self.caught_up = 0
        self.killed = 0
        self.failed = 0
        self.students = 0
        self.lines = 0
        self.rotations = 0

    def __str__(self) -> str:
        return (
            f"schools: catch-ups {self.caught_up} and {self.killed} killed, sources failing "
            f"{self.failed}, students {self.students}, lines {self.lines}, "
            f"rotations {self.rotations}"
        )


def catch_up(home: Path, environment: dict[str, str]) -> list[str]:
    """Catch up with the school; returns which of its sources failed, as they may."""
    with dg.DagsterInstance.ephemeral() as instance:
        failures = failed_steps(SchoolHouse(home, instance, **environment).catch_up())
    unexpected = [failure for failure in failures if failure[0] not in _MAY_FAIL]
    if unexpected:
        raise AssertionError(f"a catch-up failed: {unexpected}")
    return [step for step, _ in failures]


def found(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Catch up for the last time, with the recorded batches, and tell what is there."""
    with dg.DagsterInstance.ephemeral() as instance:
        school = SchoolHouse(home, instance)
        result = school.catch_up()
        if not result.success:
            raise AssertionError(f"the last catch-up failed: {failed_steps(result)}")
        return {
            "students": school.stored("students", "id, name, batch_id"),
            "batches": school.stored("batches", "id, name"),
            "runs": school.stored(
                "test_runs",
                "log_position, student_id, lesson_id, lesson_title, tests_passed, tests_total",
            ),
            "unusable": [
                (position,)
                for source, _, position, _, _ in school.rejected()
                if source == "test_runs"
            ],
            "ranking": school.published(
                "batch_completions", "batch_id, students, students_with_3_lessons, batch_rank"
            ),
        }


def trial(seed: int, folder: Path, lessons: Lessons, seconds: float, rate: int) -> None:
    """Let a school live for so long, with `rate` events per second, or 0 for all it can.

    It lives on until a catch-up has ended and the log was rotated, however busy the machine is.

    Raises:
        DifferenceError: something that was made is not there, or not once, or counts wrongly.
    """
    source = random.Random(seed)
    home, children = folder / "home", folder / "children"
    folder.mkdir(parents=True)
    environment = {"BATCHES_URL": f"http://127.0.0.1:{_free_port()}"}
    simulator = _simulator(home, environment, seed, rate)
    try:
        _wait_for(home / "sources" / "test_runs.log", simulator)
        begun, caught_up = time.monotonic(), lessons.caught_up
        while (
            (passed := time.monotonic() - begun) < seconds
            or lessons.caught_up == caught_up
            or not _rotated(home)
        ):
            if passed > SECONDS_BEFORE_IT_HANGS:
                raise DifferenceError("no catch-up ended, or the log was never rotated")
            _catch_up_or_be_killed(source, home, environment, children, lessons)
        _stop(simulator)
    finally:
        simulator.kill()
    there = Child(partial(found, home), children).result()
    _compare(truth(Places.in_folder(home / "sources")), there)
    lessons.students += len(there["students"])
    lessons.lines += len(there["runs"])
    lessons.rotations += len(_rotated(home))
    shutil.rmtree(folder)


def _rotated(home: Path) -> list[Path]:
    """The finished parts of the log."""
    return list((home / "sources").glob("test_runs.log.*"))


def _catch_up_or_be_killed(
    source: random.Random,
    home: Path,
    environment: dict[str, str],
    children: Path,
    lessons: Lessons,
) -> None:
    child = Child(partial(catch_up, home, environment), children)
    if source.random() < 0.5 and child.wait(source.uniform(0.2, 3.0)) is None:
        child.kill()
        lessons.killed += 1
        return
    lessons.failed += len(child.result())
    lessons.caught_up += 1


def _simulator(
    home: Path, environment: dict[str, str], seed: int, rate: int
) -> "subprocess.Popen[bytes]":
    # Of a hundred rotated logs the oldest goes, and what was in it could not be compared any more.
    lines = 1_000 if rate else 200_000
    options = ["--failures", "--rotate-every", str(lines)]
    options += ["--rate", str(rate), "--seed", str(seed)]
    home.mkdir(parents=True)
    return subprocess.Popen(
        [sys.executable, "-c", _SIMULATE, "simulate", *options],
        env={**os.environ, "WAREHOUSE_HOME": str(home), **environment},
        stdout=(home / "simulator.out").open("wb"),
        stderr=subprocess.STDOUT,
    )


def _wait_for(path: Path, simulator: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _SECONDS_TO_END
    while not path.exists():
        if simulator.poll() is not None or time.monotonic() > until:
            raise DifferenceError(f"the simulator does not make {path}")
        time.sleep(0.05)


def _stop(simulator: "subprocess.Popen[bytes]") -> None:
    simulator.send_signal(signal.SIGTERM)
    if simulator.wait(_SECONDS_TO_END) != 0:
        raise DifferenceError(f"the simulator ended with {simulator.returncode}")


def _compare(
    expected: dict[str, list[tuple[Any, ...]]], there: dict[str, list[tuple[Any, ...]]]
) -> None:
    for what, rows in expected.items():
        if there[what] != rows:
            missing = _first(set(rows) - set(there[what]))
            extra = _first(set(there[what]) - set(rows))
            raise DifferenceError(
                f"{what}: {len(rows)} were made, {len(there[what])} are there; "
                f"missing {missing}, too much {extra}"
            )


def _first(rows: set[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    return sorted(rows, key=repr)[:3]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
