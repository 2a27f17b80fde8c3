"""The whole trips family at several sizes: `python -m benchmarks.trips_scale`.

Each step is done in a process of its own, with the default settings, in a warehouse that is not
there yet: the run that takes the file, maintenance, one more file, questions to the service, each
answer compared with that of DuckDB alone.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from benchmarks.case import Subject
from benchmarks.data import Data
from benchmarks.report import figure, machine, write
from benchmarks.runner import ROOT, Runner

BEGIN = "<!-- Written by `python -m benchmarks.trips_scale --write`: begin -->"
END = "<!-- Written by `python -m benchmarks.trips_scale --write`: end -->"
_CACHE = Path(tempfile.gettempdir()) / "warehouse_assets_benchmarks"
_SIZES = (1_000_000, 10_000_000, 100_000_000)
_VOTES = 1000  # of which none is made
_QUERIES = {"": "a region", "origin": "where trips begin", "destination": "where trips end"}
_QUERIES["both"] = "where trips begin and end"


Rows = Callable[[Mapping[str, Any], Data], Mapping[str, str]]
"""Rows of the table, from what a measurement reports: their names and their figures."""


@dataclass(frozen=True)
class Step:
    """What is measured of each size: who does it, and the rows of the table that come of it."""

    subject: Subject
    rows: Rows


@dataclass
class Column:
    """The figures of one size by the names of their rows."""

    trips: int
    figures: dict[str, str] = field(default_factory=dict)


@click.command()
@click.option(
    "--rows",
    multiple=True,
    type=click.IntRange(min=1000),
    default=_SIZES,
    show_default=True,
    help="How many trips; can be repeated.",
)
@click.option(
    "--data",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=_CACHE,
    show_default=True,
    help="Folder for the files and all that is made of them; 100 million trips need 60 GB.",
)
@click.option("--write", "is_written", is_flag=True, help="Put the table into docs/benchmarks.md.")
def main(rows: Sequence[int], folder: Path, is_written: bool) -> None:
    """Measure the whole trips family, end to end, at several sizes."""
    columns = []
    for trips in rows:
        column = Column(trips)
        data = Data(folder.absolute(), _VOTES, trips)
        started, is_new = time.perf_counter(), not data.trips_file.exists()
        data.make_trips()
        if is_new:
            _tell(f"{trips:,} trips: made in {time.perf_counter() - started:.0f} s")
        with tempfile.TemporaryDirectory(prefix="run-", dir=data.folder) as work:
            runner = Runner(data, Path(work), 1, _tell)
            for step in STEPS:
                report = runner.measure(step.subject)
                figures = step.rows(report, data)
                column.figures |= figures
                _tell(f"{trips:,} trips, {step.subject.name}: {report['seconds']:.3f} s")
        columns.append(column)
    text = f"{machine({})}\n\n" + "\n".join(table(columns))
    click.echo(text)
    if is_written:
        write(ROOT / "docs" / "benchmarks.md", text, BEGIN, END)


def table(columns: Sequence[Column]) -> Iterator[str]:
    """The Markdown of the table."""
    yield f"| trips | {' | '.join(f'{column.trips:,}' for column in columns)} |"
    yield f"| --- | {' | '.join('--:' for _ in columns)} |"
    for name in columns[0].figures:
        yield f"| {name} | {' | '.join(column.figures[name] for column in columns)} |"


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _of_the_run(report: Mapping[str, Any], data: Data) -> Mapping[str, str]:
    steps, total = dict(report["details"]), report["seconds"]
    sizes = {name: steps.pop(name) for name in list(steps) if name.startswith("bytes ")}
    checks = sum(steps.pop(name) for name in list(steps) if name.startswith("check_"))
    rest = total - checks - sum(steps.values())
    return {
        "CSV, GB": _gigabytes(data.trips_file.stat().st_size),
        "**the whole run, seconds**": figure(total),
        **{f"of which {name}": figure(seconds) for name, seconds in steps.items()},
        "of which all checks": figure(checks),
        "of which Dagster": figure(rest),
        "trips per second": figure(data.trips / total),
        "peak memory of the run, MB": _megabytes(report["peak_bytes"]),
        "lake, GB": _gigabytes(sizes["bytes of the lake"]),
        "SQL database, GB": _gigabytes(sizes["bytes of the warehouse"]),
    }


def _of_maintenance(report: Mapping[str, Any], data: Data) -> Mapping[str, str]:
    return {
        "**maintenance, seconds**": figure(report["seconds"]),
        "peak memory of maintenance, MB": _megabytes(report["peak_bytes"]),
        "lake after maintenance, GB": _gigabytes(report["details"]["bytes of the lake"]),
        "with what earlier versions had, GB": _gigabytes(
            report["details"]["bytes of the lake's folder"]
        ),
    }


def _seconds(name: str) -> Rows:
    def rows(report: Mapping[str, Any], data: Data) -> Mapping[str, str]:
        return {name: figure(report["seconds"])}

    return rows


def _milliseconds(name: str) -> Rows:
    def rows(report: Mapping[str, Any], data: Data) -> Mapping[str, str]:
        median, slowest = (
            report["seconds"] * 1000,
            report["details"]["seconds of the slowest of 20"] * 1000,
        )
        name_of_row = f"weekly average, {name}: median (slowest of 20), ms"
        return {name_of_row: f"{median:,.1f} ({slowest:,.1f})"}

    return rows


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f}"


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f}"


STEPS = (
    Step(
        Subject("DuckDB alone", "trips_load.duckdb_template"),
        _seconds("DuckDB alone: the CSV into Parquet, seconds"),
    ),
    Step(Subject("the whole run", "trips_runs.load_template"), _of_the_run),
    Step(Subject("maintenance", "trips_runs.maintain_template"), _of_maintenance),
    Step(
        Subject("one more file", "trips_runs.next_file"),
        _seconds("**one more file of a million trips: the whole run, seconds**"),
    ),
    Step(
        Subject("the same file alone", "trips_runs.only_file"),
        _seconds("the same file into an empty lake, seconds"),
    ),
    *(
        Step(
            Subject(f"weekly average, {name}", "trips_queries.service", {"match": match}),
            _milliseconds(name if not match else f"a district, {name}"),
        )
        for match, name in _QUERIES.items()
    ),
)
"""What is measured, in this order."""


if __name__ == "__main__":
    main()
