"""What was measured, as the Markdown that is printed and that docs/benchmarks.md shows."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from benchmarks.case import Subject
from benchmarks.data import Data
from benchmarks.runner import Measured, Outcome

BEGIN = "<!-- Written by `make benchmarks`: begin -->"
END = "<!-- Written by `make benchmarks`: end -->"
_SHORT, _LARGE = 0.05, 1000
_LIBRARIES = ("dagster", "deltalake", "duckdb", "SQLAlchemy")


def report(outcomes: Sequence[Outcome], data: Data, rounds: int) -> str:
    """The whole report."""
    paragraphs = [f"{_machine()}\n\nMedians of {rounds} rounds, the greatest peak of memory."]
    paragraphs += ["\n".join(_table(outcome, data)) for outcome in outcomes]
    return "\n\n".join(paragraphs)


def write(page: Path, text: str) -> None:
    """Put `text` between the marks of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _machine() -> str:
    """What it was measured on, and with which libraries."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores ({_cpu()}), "
        f"{memory:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}, "
        f"{libraries}. Load average at the end: {os.getloadavg()[0]:.1f}."
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _table(outcome: Outcome, data: Data) -> Iterator[str]:
    yield f"### {outcome.case.name}: {data.filled(outcome.case.title)}\n"
    yield "| measured | seconds | fastest to slowest | ratio | target | peak memory | start-up |"
    yield "| --- | --: | --: | --: | --: | --: | --: |"
    for measured in outcome.measured:
        ratio = "" if measured is outcome.measured[0] else f"{outcome.ratio(measured):.2f}"
        yield (
            f"| {data.filled(measured.subject.name)} | {_seconds(measured.seconds)} | "
            f"{_seconds(measured.fastest)} to {_seconds(measured.slowest)} | {ratio} | "
            f"{_target(measured.subject)} | "
            f"{measured.peak_bytes / 1e6:,.0f} MB | {measured.startup:.2f} |"
        )
    for measured in outcome.prepared:
        yield (
            f"| before, once: {data.filled(measured.subject.name)} | {_seconds(measured.seconds)} "
            f"| | | | {measured.peak_bytes / 1e6:,.0f} MB | {measured.startup:.2f} |"
        )
    if with_details := [m for m in (*outcome.prepared, *outcome.measured) if m.details]:
        yield ""
        yield from _details(with_details, data)


def _figure(value: float) -> str:
    """A number as the tables have it: whole, or with two digits or more after the point."""
    return f"{value:,.0f}" if value >= _LARGE or value == int(value) else _seconds(value)


def _seconds(value: float) -> str:
    """Seconds as the tables have them, short ones with more digits."""
    return f"{value:.2f}" if value >= _SHORT else f"{value:.4f}"


def _target(subject: Subject) -> str:
    if subject.limit is not None:
        return f"{subject.limit:g} s"
    return "" if subject.target is None else f"{subject.target:g}"


def _details(measured: Sequence[Measured], data: Data) -> Iterator[str]:
    yield f"| of which | {' | '.join(data.filled(m.subject.name) for m in measured)} |"
    yield f"| --- | {' | '.join('--:' for _ in measured)} |"
    for name in dict.fromkeys(name for m in measured for name in m.details):
        figures = (_figure(m.details[name]) if name in m.details else "" for m in measured)
        yield f"| {name} | {' | '.join(figures)} |"
