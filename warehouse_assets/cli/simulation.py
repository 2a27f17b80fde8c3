"""The commands `samples` and `simulate`: sources made for trying the warehouse out."""

import math
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from warehouse_assets.settings import Settings

if TYPE_CHECKING:
    from warehouse_assets.samples.school_places import Places
    from warehouse_assets.samples.simulator import Figures


class _Amount(click.FloatRange):
    """A number of a range, which "nan" is not, though it is neither too small nor too great."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


_COUNT = click.IntRange(min=0)
_SECONDS_BETWEEN_LINES = 5


@click.command()
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
@click.option(
    "--reset",
    is_flag=True,
    help="Make nothing; remove what this command and 'simulate' made, and nothing else.",
)
def samples(
    votes: int,
    students: int,
    trips: int,
    reviews: int,
    deliveries: int,
    seed: int,
    into: Path | None,
    reset: bool,
) -> None:
    """Make sample sources: posts, votes, trips, a school, reviews and deliveries.

    Some records are damaged.

    Posts, votes and trips are files like a supplier's. The school is a database of students, a
    file of batches and a log of test runs, reviews are a database, deliveries a feed of their
    steps; what is there already is left as it is. The same size and seed make the same content.

    With --reset, files that were made and have been changed by others since are left, too. The
    warehouse keeps what it has taken.
    """
    from warehouse_assets.samples.deliveries_simulator import make_deliveries_samples
    from warehouse_assets.samples.forum import write_forum_samples
    from warehouse_assets.samples.reviews import write_reviews_samples
    from warehouse_assets.samples.school_files import writing
    from warehouse_assets.samples.school_samples import write_school_samples
    from warehouse_assets.samples.trips import write_trips_samples

    inbox = into or Settings.from_environment().inbox
    if reset:
        _reset(_places(into), inbox)
        return
    notes: list[str | None] = []
    databases: tuple[Path, ...] = ()
    if students:
        places = _places(into)
        notes.append(write_school_samples(places, students, seed))
        databases = places.files
    if reviews:
        path = _place_of_reviews(into)
        if path is None:
            notes.append("REVIEWS_URL is a PostgreSQL database: no sample reviews are made there.")
        else:
            notes.append(write_reviews_samples(path, _places(into).made, reviews, seed))
            databases = (*databases, path)
    if deliveries:
        feed = _place_of_deliveries(into)
        notes.append(make_deliveries_samples(feed, _places(into).made, deliveries, seed))
        databases = (*databases, feed)
    with writing(inbox):
        files = write_forum_samples(inbox, votes, seed)
        files += write_trips_samples(inbox, trips, seed) if trips else []
    for path in (*files, *databases):
        click.echo(path)
    for note in filter(None, notes):
        click.echo(note, err=True)


@click.command()
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
    type=click.Choice(["rollback", "wal", "alternating"]),
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
    earlier simulation stopped; 'samples --reset' removes all of it.

    Exit code: 0 when it was stopped or the time is up; 1 if a source cannot be written.
    """
    from warehouse_assets.samples.deliveries_simulator import DeliveriesSimulation
    from warehouse_assets.samples.simulator import Plan, Simulation

    places = _places(None)
    plan = Plan(
        rate=rate,
        seconds=seconds,
        seed=seed,
        port=places.port if port is None else port,
        has_failures=failures,
        rotate_every=rotate_every,
        journal=journal,
    )
    feed = _place_of_deliveries(None)
    deliveries = DeliveriesSimulation(feed, places.made, rate, seed)
    with _stopping() as stopped, Simulation(places, plan) as simulation, deliveries:
        _introduce(places, feed, simulation.server.address)
        before = simulation.figures()
        _show(simulation.run(stopped))
    made = simulation.figures()
    click.echo(f"Steps of deliveries made: {deliveries.records:,}.")
    click.echo(f"Made: {_account(made.since(before))}.")
    click.echo(f"Altogether: {_account(made)}.")


def _places(folder: Path | None) -> "Places":
    from warehouse_assets.samples.school_places import Places

    return Places.in_folder(folder) if folder else Places.of(Settings.from_environment())


def _place_of_reviews(folder: Path | None) -> Path | None:
    """Where sample reviews go; None if the settings have them where samples do not belong."""
    if folder:
        return folder.absolute() / "reviews.db"
    settings = Settings.from_environment()
    scheme, _, path = settings.reviews_url.partition(":///")
    return Path(path.partition("?")[0]) if scheme == "sqlite" else None


def _place_of_deliveries(folder: Path | None) -> Path:
    """Where the sample feed of deliveries goes."""
    if folder:
        return folder.absolute() / "deliveries.jsonl"
    return Settings.from_environment().deliveries_feed


def _reset(places: "Places", inbox: Path) -> None:
    from warehouse_assets.samples.made import remove_samples

    removal = remove_samples(places, inbox)
    for path in removal.removed:
        click.echo(f"Removed {path}")
    for path in removal.left:
        click.echo(f"Left {path}: it was changed since by another program.", err=True)
    if not removal.removed and not removal.left:
        click.echo("There is nothing that was made as a sample.")


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Tell whether a signal has come that is to end the process; a second one ends it at once."""
    came: list[int] = []
    handlers = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN  # as nohup has it
    }

    def put_back() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def stop(number: int, _: object) -> None:
        came.append(number)
        put_back()

    for number in handlers:
        signal.signal(number, stop)
    try:
        yield lambda: bool(came)
    finally:
        put_back()


def _introduce(places: "Places", feed: Path, address: str) -> None:
    """Say where the sources are and how the server is read."""
    click.echo(f"Students:  {places.students}")
    click.echo(f"Batches:   {places.batches}")
    click.echo(f"Test runs: {places.log}")
    click.echo(f"Deliveries: {feed}")
    click.echo(f"The batches are served, too, at {address}/batches; to read them from there, set")
    click.echo(f"BATCHES_URL={address}")
    click.echo("Ctrl-C stops.")


def _show(figures: Iterable["Figures"]) -> None:
    """Keep the figures up to date on a terminal; elsewhere print a line every few seconds."""
    from warehouse_assets.cli import terminal

    if sys.stdout.isatty():
        with terminal.out.status("") as status:
            for now in figures:
                status.update(_account(now))
        return
    for second, now in enumerate(figures, start=1):
        if second % _SECONDS_BETWEEN_LINES == 0:
            click.echo(f"{time.strftime('%H:%M:%S')}  {_account(now)}")


def _account(figures: "Figures") -> str:
    counted = [
        f"{figures.students:,} students ({figures.changes:,} changes)",
        f"{figures.batches:,} batches",
        f"{figures.runs:,} test runs",
        f"{figures.unusable:,} unusable lines",
    ]
    if figures.rotations:
        counted.append(f"{figures.rotations:,} rotations")
    if figures.requests:
        counted.append(f"{figures.requests:,} requests ({figures.failed_requests:,} failed)")
    return ", ".join(counted)
