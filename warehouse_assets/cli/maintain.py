"""The command `maintain`: what the schedule does each night."""

import click

from warehouse_assets import runs
from warehouse_assets.cli import terminal
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.orchestration import maintenance
from warehouse_assets.orchestration.history import forget_runs
from warehouse_assets.orchestration.resources import build_resources
from warehouse_assets.progress import heard_by
from warehouse_assets.settings import Settings


@click.command("maintain", cls=InterruptibleCommand)
def command() -> None:
    """Make the lake small and quick to open, and the warehouse's statistics current.

    Small files are put together; files that no version of the last TIME_TRAVEL_DAYS needs are
    removed, and so is what Dagster keeps of runs that ended RUN_RETENTION_DAYS ago. The schedule
    does the same each night. Damage that `warehouse check --deep` would find is named at the end,
    with exit code 1; a table with a damaged file is left as it is.
    """
    settings = Settings.from_environment()
    resources = build_resources(settings)
    with runs.history(settings) as instance:
        forget_runs(instance, settings.run_retention_days)
    with heard_by(tell=terminal.err.print):
        for name, maintained in maintenance.maintain_all(
            resources["lake"], resources["warehouse"], settings
        ):
            terminal.out.print(maintenance.account(name, maintained))
