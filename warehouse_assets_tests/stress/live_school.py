"""One trial: a school lives at full speed while the warehouse catches up and is killed in it.

In the end every student, batch, test run and unusable line that the sources hold is there exactly
once, and the ranking is what plain Python computes from them.
"""

import random
import shutil
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from warehouse_assets.runs import failed_steps
from warehouse_assets.samples.files import Places
from warehouse_assets_tests.defs.school.schoolhouse import SchoolHouse
from warehouse_assets_tests.ports import free_port
from warehouse_assets_tests.samples.school_truth import truth
from warehouse_assets_tests.stress.warm import (
    SECONDS_BEFORE_IT_HANGS,
    Child,
    command,
    compare,
    demand,
    wait_until,
)

# What the server and the lock of the students may make fail while the school lives.
_MAY_FAIL = {"batches", "students"}


def catch_up(home: Path, environment: dict[str, str]) -> list[str]:
    """Catch up with the school; returns which of its sources failed, as they may."""
    with dg.DagsterInstance.ephemeral() as instance:
        failures = failed_steps(SchoolHouse(home, instance, **environment).catch_up(checks=False))
    unexpected = [failure for failure in failures if failure[0] not in _MAY_FAIL]
    if unexpected:
        raise AssertionError(f"a catch-up failed: {unexpected}")
    return [step for step, _ in failures]


def found(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Catch up for the last time, with the recorded batches, and tell what is there."""
    with dg.DagsterInstance.ephemeral() as instance:
        school = SchoolHouse(home, instance)
        result = school.catch_up(checks=False)
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


def trial(seed: int, folder: Path, figures: Counter[str], seconds: float, rate: int) -> None:
    """Let a school live for so long, with `rate` events per second, or 0 for all it can.

    It lives on until a catch-up has ended and the log was rotated, however busy the machine is.

    Raises:
        DifferenceError: something that was made is not there, or not once, or counts wrongly.
    """
    source = random.Random(seed)
    home, children = folder / "home", folder / "children"
    environment = {"BATCHES_URL": f"http://127.0.0.1:{free_port()}"}
    # Of a hundred rotated logs the oldest goes, and what was in it could not be compared any more.
    options = ["--failures", "--rotate-every", str(1_000 if rate else 200_000)]
    options += ["--rate", str(rate), "--seed", str(seed)]
    with command(home, environment, "simulate", *options) as simulator:
        log = home / "sources" / "test_runs.log"
        wait_until(log.exists, lambda: simulator.poll() is None, f"nothing makes {log}")
        begun, caught_up = time.monotonic(), figures["catch-ups"]
        while (
            (passed := time.monotonic() - begun) < seconds
            or figures["catch-ups"] == caught_up
            or not _rotated(home)
        ):
            hangs = passed > SECONDS_BEFORE_IT_HANGS
            demand(not hangs, "no catch-up ended, or the log was never rotated")
            _catch_up_or_be_killed(source, home, environment, children, figures)
    there = Child(partial(found, home), children).result()
    compare("what was made and what is there", truth(Places.in_folder(home / "sources")), there)
    figures["schools"] += 1
    figures["students"] += len(there["students"])
    figures["lines"] += len(there["runs"])
    figures["rotations"] += len(_rotated(home))
    shutil.rmtree(folder)


def _rotated(home: Path) -> list[Path]:
    """The finished parts of the log."""
    return list((home / "sources").glob("test_runs.log.*"))


def _catch_up_or_be_killed(
    source: random.Random,
    home: Path,
    environment: dict[str, str],
    children: Path,
    figures: Counter[str],
) -> None:
    child = Child(partial(catch_up, home, environment), children)
    if source.random() < 0.5 and child.wait(source.uniform(0.2, 3.0)) is None:
        child.kill()
        figures["catch-ups killed"] += 1
        return
    figures["sources failing"] += len(child.result())
    figures["catch-ups"] += 1
