"""Whole runs of the trips family in process, and the maintenance that follows."""

from collections.abc import Iterable
from pathlib import Path

from benchmarks.context import Context
from benchmarks.subjects.homes import copy_home, lake_of, settings_of
from benchmarks.subjects.runs import run
from warehouse_assets.defs.trips.tables import TABLES
from warehouse_assets.orchestration.maintenance import maintain_all
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import warehouse_at

HOME = "trips-home"
"""The template of a warehouse with all trips."""


def load_template(context: Context) -> None:
    """Measure the run that takes all trips, into a warehouse that other cases use."""
    settings = settings_of(context.templates / HOME)
    run(context, settings, [context.data.trips_file])
    _tell_sizes(context, settings)


def maintain_template(context: Context) -> None:
    """Measure the maintenance of that warehouse, which puts the trips in order."""
    settings = settings_of(context.templates / HOME)
    lake, warehouse = lake_of(settings), warehouse_at(settings.warehouse_url)
    with context.measuring():
        for name, maintained in maintain_all(lake, warehouse, settings):
            context.details[f"files of {name}"] = maintained.files_after
    _tell_sizes(context, settings)


def next_file(context: Context) -> None:
    """Measure the run that takes one more file into a copy of that warehouse."""
    home = context.folder / "home"
    copy_home(context.templates / HOME, home)
    run(context, settings_of(home), [context.data.next_trips_file])


def only_file(context: Context) -> None:
    """Measure the run that takes the same file into a warehouse that is not there yet."""
    run(context, settings_of(context.folder / "home"), [context.data.next_trips_file])


def _tell_sizes(context: Context, settings: Settings) -> None:
    """What the newest version of the lake has, all that its folder has, and the database."""
    lake = lake_of(settings)
    stored = (lake.table(table) for table in TABLES)
    files = (file for table in stored if table.exists() for file in table.files(table.open()))
    context.details["bytes of the lake"] = _size(map(Path, files))
    context.details["bytes of the lake's folder"] = _size(Path(settings.lake).rglob("*"))
    database = warehouse_at(settings.warehouse_url).path
    context.details["bytes of the warehouse"] = _size(database.parent.glob(f"{database.name}*"))


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())
