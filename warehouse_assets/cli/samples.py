"""The command `samples`: sources made for trying the warehouse out."""

from pathlib import Path

import click

from warehouse_assets.samples.deliveries import write_deliveries_samples
from warehouse_assets.samples.files import Places
from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets.samples.reviews import write_reviews_samples
from warehouse_assets.samples.school_sources import write_school_samples
from warehouse_assets.samples.trips import write_trips_samples
from warehouse_assets.settings import Settings

_COUNT = click.IntRange(min=0)


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
def command(
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
