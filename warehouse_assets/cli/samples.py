"""The commands `samples` and `simulate`: sources for trying the warehouse out, still or alive."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from warehouse_assets.cli import terminal
from warehouse_assets.samples.deliveries import write_deliveries_samples
from warehouse_assets.samples.files import Places
from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets.samples.reviews import write_reviews_samples
from warehouse_assets.samples.school_sources import write_school_samples
from warehouse_assets.samples.simulator import JOURNALS, Plan, Simulation
from warehouse_assets.samples.trips import write_trips_samples
from warehouse_assets.settings import Settings

_COUNT = click.IntRange(min=0)
_SECONDS_BETWEEN_LINES = 5


@click.command("samples")
@click.option("--votes", type=_COUNT, default=10_000, show_default=True, help="How many votes.")
@click.option(
    "--students",
    type=_COUNT,
    default=500,
    show_default=True,
    help="How many students of the school; 0 for no school.",
)
@click.option("--trips", type=_COUNT, default=20_000, show_default=True, help="How many trips.")
@click.option("--reviews", type=_COUNT, default=5_000, show_default=True, help="How many reviews.")
@click.option(
    "--deliveries",
    type=_COUNT,
    default=4_000,
    show_default=True,
    help="How many steps of deliveries; 0 for no feed.",
)
@click.option("--seed", default=1, show_default=True, help="Another seed makes other samples.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for all of them.  [default: the inbox, and where the settings have the school]",
)
def samples(
    votes: int,
    students: int,
    trips: int,
    reviews: int,
    deliveries: int,
    seed: int,
    into: Path | None,
) -> None:
    """Make sample sources: posts, votes, trips, a school, reviews and deliveries.

    Some records are damaged.

    Posts, votes and trips are files like a supplier's. The school is a database of students, a
    file of batches and a log of test runs, reviews are a database, deliveries a feed of their
    steps. Whatever is there already is left as it is. The same size and seed make the same
    content.
    """
    places = Places.in_folder(into) if into else Places.of(Settings.from_environment())
    made = write_forum_samples(places.inbox, votes, seed)
    if trips:
        made |= write_trips_samples(places.inbox, trips, seed)
    if students:
        made |= write_school_samples(places, students, seed)
    if reviews and places.reviews:
        made |= write_reviews_samples(places.reviews, reviews, seed)
    if deliveries:
        made |= write_deliveries_samples(places.deliveries, deliveries, seed)
    for path in (path for path, is_new in made.items() if is_new):
        click.echo(path)
    there = [str(path) for path, is_new in made.items() if not is_new]
    if there:
        click.echo(f"There already, and left as they are: {', '.join(there)}", err=True)
    if reviews and not places.reviews:
        click.echo(
            "REVIEWS_URL is a PostgreSQL database: no sample reviews are made there.", err=True
        )


class _Amount(click.FloatRange):
    """A number of a range, which "nan" is not, though it is neither too small nor too great."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


@click.command("simulate")
@click.option(
    "--rate",
    type=_Amount(0, 1_000_000),
    default=20,
    show_default=True,
    help="Events per second; 0 for as many as possible.",
)
@click.option("--seconds", type=_Amount(min=0), help="Stop after so long.  [default: never]")
@click.option("--seed", default=1, show_default=True, help="Another seed makes other events.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port of the server of batches; 0 for any that is free.  "
    "[default: that of BATCHES_URL, else 8765]",
)
@click.option(
    "--failures",
    is_flag=True,
    help="Have the server fail, the students locked and the log rotated now and then.",
)
@click.option(
    "--rotate-every",
    type=click.IntRange(min=1),
    help="Rotate the log after so many lines; the newest 100 stay.",
)
@click.option(
    "--journal",
    type=click.Choice(JOURNALS),
    default="rollback",
    show_default=True,
    help="How SQLite writes the students.",
)
def simulate(
    rate: float,
    seconds: float | None,
    seed: int,
    port: int | None,
    failures: bool,
    rotate_every: int | None,
    journal: str,
) -> None:
    """Let a school live, until Ctrl-C: its sources grow while the warehouse reads them.

    Students are entered into their database and change, batches begin, test runs are appended to
    their log, most of them with the flaws that real ones have. As many steps of deliveries are
    appended to their feed. The sources are where the settings have them; the batches are also
    served over HTTP. It goes on from where 'samples' or an
    earlier simulation stopped, and writes to no source that these have not made.

    Exit code: 0 when it was stopped or the time is up; 1 if a source cannot be written.
    """
    places = Places.of(Settings.from_environment())
    plan = Plan(
        rate=rate,
        seconds=seconds,
        seed=seed,
        port=places.port if port is None else port,
        has_failures=failures,
        rotate_every=rotate_every,
        journal=journal,
    )
    with _stopping() as stopped, Simulation(places, plan) as simulation:
        _introduce(places, simulation.server.address)
        _show(simulation, stopped)
    click.echo(f"Made: {_account(simulation)}.")


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Tell whether a signal has come that is to end the process; a second one ends it at once."""
    stopped = threading.Event()
    with ExitStack() as handlers_before:

        def stop(number: int, _: object) -> None:
            stopped.set()
            handlers_before.close()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(number)
            if handler != signal.SIG_IGN:  # as nohup has it
                handlers_before.callback(signal.signal, number, handler)
                signal.signal(number, stop)
        yield stopped.is_set


def _introduce(places: Places, address: str) -> None:
    """Say where the sources are and how the server is read."""
    click.echo(
        f"Students:  {places.students}\n"
        f"Batches:   {places.batches}\n"
        f"Test runs: {places.log}\n"
        f"Deliveries: {places.deliveries}\n"
        f"The batches are served, too, at {address}/batches; to read them from there, set\n"
        f"BATCHES_URL={address}\n"
        "Ctrl-C stops."
    )


def _show(simulation: Simulation, stopped: Callable[[], bool]) -> None:
    """Keep the figures up to date on a terminal; elsewhere print a line every few seconds."""
    if sys.stdout.isatty():
        with terminal.out.status("") as status:
            for _ in simulation.run(stopped):
                status.update(_account(simulation))
        return
    for second, _ in enumerate(simulation.run(stopped), start=1):
        if second % _SECONDS_BETWEEN_LINES == 0:
            click.echo(f"{time.strftime('%H:%M:%S')}  {_account(simulation)}")


def _account(simulation: Simulation) -> str:
    figures, server = simulation.figures, simulation.server
    kinds = ["batches", "test runs", "unusable lines", "steps of deliveries"]
    counted = [
        f"{figures['students']:,} students ({figures['changes']:,} changes)",
        *(f"{figures[kind]:,} {kind}" for kind in kinds),
    ]
    if figures["rotations"]:
        counted.append(f"{figures['rotations']:,} rotations")
    if server.requests:
        counted.append(f"{server.requests:,} requests ({server.failures:,} failed)")
    return ", ".join(counted)
