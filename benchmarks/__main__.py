"""The command: `python -m benchmarks`, or `make benchmarks`."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from benchmarks.data import Data
from benchmarks.plan import CASES
from benchmarks.report import report, write
from benchmarks.runner import ROOT, Runner

_CACHE = Path(tempfile.gettempdir()) / "warehouse_assets_benchmarks"
_NAMES = [case.name for case in CASES]
_FEWEST_VOTES = 1000
_FEWEST_TRIPS = 1000


@click.command()
@click.option(
    "--votes",
    type=click.IntRange(min=_FEWEST_VOTES),
    default=5_000_000,
    show_default=True,
    help="How many votes the large table has; the sizes of posts, logs and reviews follow.",
)
@click.option(
    "--trips",
    type=click.IntRange(min=_FEWEST_TRIPS),
    default=10_000_000,
    show_default=True,
    help="How many trips the large file has.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--only", multiple=True, type=click.Choice(_NAMES), help="Measure this case; can be repeated."
)
@click.option(
    "--data",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=_CACHE,
    show_default=True,
    help="Folder for files made once and for all that is written; several GB.",
)
@click.option("--write", "is_written", is_flag=True, help="Put the result into docs/benchmarks.md.")
def main(
    votes: int,
    trips: int,
    rounds: int,
    only: Sequence[str],
    folder: Path,
    is_written: bool,
) -> None:
    """Measure the project against its baselines, in turn, each in a fresh process."""
    folder.mkdir(parents=True, exist_ok=True)
    data = Data(folder.absolute(), votes, trips)
    cases = [case for case in CASES if not only or case.name in only]
    for make in sorted({case.data for case in cases}):
        getattr(data, make)()
    with tempfile.TemporaryDirectory(prefix="run-", dir=data.folder) as work:
        tell = partial(click.echo, err=True)
        runner = Runner(data, Path(work), rounds, tell)
        outcomes = [runner.run(case) for case in cases]
    text = report(outcomes, data, rounds)
    click.echo(text)
    if is_written:
        write(ROOT / "docs" / "benchmarks.md", text)


if __name__ == "__main__":
    main()
