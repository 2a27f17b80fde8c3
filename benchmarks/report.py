"""What was measured, as the Markdown that is printed and that docs/benchmarks.md shows."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
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
_RIVALS = ("polars", "pandas", "pyarrow")


def report(outcomes: Sequence[Outcome], data: Data, rounds: int, rivals: Mapping[str, str]) -> str:
    """The whole report; `rivals` has the versions of their packages."""
    paragraphs = [f"{machine(rivals)}\n\nMedians of {rounds} rounds, the greatest peak of memory."]
    paragraphs += ["\n".join(_table(outcome, data)) for outcome in outcomes]
    return "\n\n".join(paragraphs)


def write(page: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Put `text` between the marks of the page; marks that are not there go to its end."""
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    if not found:
        before += "\n"
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after or chr(10)}", encoding="utf-8")


def machine(rivals: Mapping[str, str]) -> str:
    """What it was measured on, and with which libraries."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {name: version(name) for name in _LIBRARIES}
    versions |= {name: rivals[name] for name in _RIVALS if name in rivals}
    libraries = ", ".join(f"{name} {number}" for name, number in versions.items())
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
            f"| {data.filled(measured.subject.name)} | {seconds(measured.seconds)} | "
            f"{seconds(measured.fastest)} to {seconds(measured.slowest)} | {ratio} | "
            f"{_target(measured.subject)} | "
            f"{measured.peak_bytes / 1e6:,.0f} MB | {measured.startup:.2f} |"
        )
    for name, obstacle in outcome.skipped.items():
        yield f"| {data.filled(name)} | {obstacle} | | | | | |"
    if any(measured.details for measured in outcome.measured):
        yield ""
        yield from _details(outcome.measured, data)


def figure(value: float) -> str:
    """A number as the tables have it: whole, or with two digits or more after the point."""
    return f"{value:,.0f}" if value >= _LARGE or value == int(value) else seconds(value)


def seconds(value: float) -> str:
    """Seconds as the tables have them, short ones with more digits."""
    return f"{value:.2f}" if value >= _SHORT else f"{value:.4f}"


def _target(subject: Subject) -> str:
    if subject.limit is not None:
        return f"{subject.limit:g} s"
    return "" if subject.target is None else f"{subject.target:g}"


def _details(measured: Sequence[Measured], data: Data) -> Iterator[str]:
    with_details = [m for m in measured if m.details]
    yield f"| of which | {' | '.join(data.filled(m.subject.name) for m in with_details)} |"
    yield f"| --- | {' | '.join('--:' for _ in with_details)} |"
    for name in with_details[0].details:
        figures = " | ".join(figure(m.details.get(name, 0)) for m in with_details)
        yield f"| {name} | {figures} |"
