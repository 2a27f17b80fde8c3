"""Runs the subjects of a case, each in a fresh process, in turn (A B A B), never two at once."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.case import Case, Subject
from benchmarks.data import Data

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Measured:
    """What one subject took: the median of each figure."""

    subject: Subject
    seconds: float
    fastest: float
    slowest: float
    startup: float
    peak_bytes: float
    details: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """A case with what its preparation and its subjects took."""

    case: Case
    prepared: Sequence[Measured]
    measured: Sequence[Measured]

    def baseline(self, measured: Measured) -> Measured:
        """What `measured` is compared with."""
        against = measured.subject.against or self.measured[0].subject.name
        return next(m for m in self.measured if m.subject.name == against)

    def ratio(self, measured: Measured) -> float:
        """The median as a multiple of the baseline's."""
        return measured.seconds / self.baseline(measured).seconds


@dataclass
class Runner:
    """Measures cases one after the other.

    Args:
        data: the files, which are there.
        folder: where everything happens; what a measurement leaves is removed.
        rounds: how often each subject is measured.
        tell: told what is being done.
    """

    data: Data
    folder: Path
    rounds: int
    tell: Callable[[str], object]
    _prepared: set[str] = field(default_factory=set)

    @property
    def _templates(self) -> Path:
        return self.folder / "templates"

    def run(self, case: Case) -> Outcome:
        """Prepare the case where that has not been done, and measure its subjects in turn."""
        prepared = []
        for step in case.prepare:
            key = f"{step.call} {step.options}"
            if key not in self._prepared:
                self.tell(f"{case.name}: preparing {step.name}")
                prepared.append(_summary(step, [self.measure(step)]))
                self._prepared.add(key)
        reports: list[list[dict[str, Any]]] = [[] for _ in case.subjects]
        for number in range(1, self.rounds + 1):
            for subject, taken in zip(case.subjects, reports, strict=True):
                taken.append(self.measure(subject))
                name = self.data.filled(subject.name)
                seconds = taken[-1]["seconds"]
                self.tell(f"{case.name}: round {number}, {name}: {seconds:.3f} s")
        pairs = zip(case.subjects, reports, strict=True)
        return Outcome(
            case,
            [measured for measured in prepared if measured.seconds],
            [_summary(subject, taken) for subject, taken in pairs],
        )

    def measure(self, subject: Subject) -> dict[str, Any]:
        """Measure the subject once; what its process reports, `benchmarks.subject` says."""
        module, function = subject.call.split(".")
        folder = self.folder / uuid4().hex[:8]
        folder.mkdir(parents=True)
        self._templates.mkdir(exist_ok=True)
        order = {
            "module": module,
            "function": function,
            "options": dict(subject.options),
            "data": str(self.data.folder),
            "votes": self.data.votes,
            "trips": self.data.trips,
            "templates": str(self._templates),
            "folder": str(folder),
            "spawned_at": time.monotonic(),
        }
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "benchmarks.subject"],
                input=json.dumps(order),
                capture_output=True,
                text=True,
                cwd=ROOT,
                # Else the project alone, which is not installed, would be compiled each time.
                env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},
                check=False,
            )
        finally:
            shutil.rmtree(folder)
        if ended.returncode != 0:
            raise RuntimeError(f"{subject.name} ({subject.call}) failed:\n{ended.stderr}")
        report: dict[str, Any] = json.loads(ended.stdout)
        return report


def _summary(subject: Subject, reports: Sequence[dict[str, Any]]) -> Measured:
    seconds = [report["seconds"] for report in reports]
    return Measured(
        subject,
        statistics.median(seconds),
        min(seconds),
        max(seconds),
        statistics.median(report["startup"] for report in reports),
        max(report["peak_bytes"] for report in reports),
        {
            name: statistics.median(report["details"][name] for report in reports)
            for name in reports[0]["details"]
        },
    )
