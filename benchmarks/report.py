"""What was measured, as the Markdown that is printed and that docs/benchmarks.md shows."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from benchmarks.data import Data
from benchmarks.runner import Measured, Outcome

BEGIN = "<!-- Written by `make benchmarks`: begin -->"
END = "<!-- Written by `make benchmarks`: end -->"
_LIBRARIES = ("dagster", "deltalake", "duckdb", "SQLAlchemy")


def report(outcomes: Sequence[Outcome], data: Data, rounds: int) -> str:
    """The whole report."""
    paragraphs = [f"{_machine()}\n\nMedians of {rounds} rounds, the greatest peak of memory."]
    paragraphs += ["\n".join(_table(outcome, data)) for outcome in outcomes]
    return "\n\n".join(paragraphs)


def write(page: Path, text: str) -> None:
    """Put `text` between the marks of the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _machine() -> str:
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
    title = _filled(outcome.case.title, data)
    yield f"### {outcome.case.name}: {title}\n"
    yield "| measured | seconds | fastest to slowest | ratio | target | peak memory | start-up |"
    yield "| --- | --: | --: | --: | --: | --: | --: |"
    for measured in outcome.measured:
        target = measured.subject.target
        ratio = "" if measured is outcome.measured[0] else f"{outcome.ratio(measured):.2f}"
        yield (
            f"| {_filled(measured.subject.name, data)} | {measured.seconds:.2f} | "
            f"{measured.fastest:.2f} to {measured.slowest:.2f} | {ratio} | "
            f"{'' if target is None else f'{target:g}'} | "
            f"{measured.peak_bytes / 1e6:,.0f} MB | {measured.startup:.2f} |"
        )
    if any(measured.details for measured in outcome.measured):
        yield ""
        yield from _details(outcome.measured, data)


def _details(measured: Sequence[Measured], data: Data) -> Iterator[str]:
    with_details = [m for m in measured if m.details]
    yield f"| of which | {' | '.join(_filled(m.subject.name, data) for m in with_details)} |"
    yield f"| --- | {' | '.join('--:' for _ in with_details)} |"
    for name in with_details[0].details:
        figures = " | ".join(f"{m.details.get(name, 0):,.2f}" for m in with_details)
        yield f"| {name} | {figures} |"


def _filled(text: str, data: Data) -> str:
    return text.format(votes=f"{data.votes:,}", changes=f"{data.changes:,}")
