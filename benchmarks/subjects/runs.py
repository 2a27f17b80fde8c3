"""Whole runs in process: all the forum's assets and checks, publishing, Dagster's history.

What is measured is what `warehouse ingest FILE…` does after its start-up. The delivery's run is
compared with the run that loaded everything, both with posts and votes and all that is computed
of them.
"""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from benchmarks.context import Context
from benchmarks.subjects.homes import copy_home, inbox_of, settings_of
from warehouse_assets import runs
from warehouse_assets.settings import Settings


def full_load(context: Context, memory_limit: str = "") -> None:
    """Measure the run that takes all posts and votes into a warehouse that is not there yet."""
    settings = settings_of(context.folder / "home", memory_limit)
    run(context, settings, [context.data.posts_file, context.data.votes_file])


def delivery(context: Context) -> None:
    """Measure the run that takes a small delivery into a warehouse that holds all the rest."""
    home = context.folder / "home"
    copy_home(context.templates / "home", home)
    run(context, settings_of(home), [context.data.delivery_file])


def load_template(context: Context) -> None:
    """Make a warehouse that holds everything, for other cases."""
    _load(context, [context.data.posts_file, context.data.votes_file])


def deliver_to_template(context: Context) -> None:
    """Have that warehouse take the delivery, too."""
    _load(context, [context.data.delivery_file])


@dg.job(executor_def=dg.in_process_executor)
def _nothing() -> None:
    """A run without steps."""


def _start_dagster(context: Context) -> None:
    """Have Dagster import what it imports at its first run, in a history of its own."""
    folder = context.folder / "dagster"
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        _nothing.execute_in_process(instance=instance)


def _load(context: Context, files: Sequence[Path]) -> None:
    run(context, settings_of(context.templates / "home"), files)


def run(context: Context, settings: Settings, files: Sequence[Path]) -> None:
    """Measure the run that takes `files`; the seconds of its steps are details."""
    inbox_of(settings, files)
    # As the command does: the tables that the files are for, and all that follows from them.
    assets = sorted({file.name.partition("-")[0] for file in files})
    with context.starting():
        _start_dagster(context)
    with context.measuring():
        result = runs.materialize(settings, assets)
    assert result.success, runs.failed_steps(result)
    for event in result.all_events:
        if event.is_step_success and event.step_key is not None:
            milliseconds = event.step_success_data.duration_ms
            context.details[event.step_key] = milliseconds / 1000
