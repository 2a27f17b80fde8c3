"""The `warehouse` command: what a person does with the warehouse from a terminal."""

import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from dotenv import load_dotenv

from warehouse_assets.cli import keys, service, simulation
from warehouse_assets.cli.interruption import InterruptibleCommand
from warehouse_assets.errors import WarehouseAssetsError, trouble_of_disk
from warehouse_assets.misspelt import tell_misspelt_settings
from warehouse_assets.settings import Settings
from warehouse_assets.terminal_text import visible

if TYPE_CHECKING:
    import dagster as dg

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_COUNT = click.IntRange(min=0)
_NOTHING_TO_CHECK = 3  # 1 and 2 are click's
_EPILOG = "Settings are environment variables; docs/settings.md lists them."


class _Group(click.Group):
    r"""Shows errors that are meant for people as their message, without a traceback.

    A line with \b alone in a help text has the lines after it stay as they are.
    """

    command_class = InterruptibleCommand

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.help = _with_marks(self.help)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        cmd.help = _with_marks(cmd.help)
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WarehouseAssetsError as error:
            raise click.ClickException(str(error)) from None
        except click.ClickException as error:
            vars(error).update(message=visible(error.message, "\n"))
            raise
        except Exception as error:
            trouble = trouble_of_disk(error)
            if trouble is None:
                raise
            raise click.ClickException(trouble) from None


def _with_marks(text: str | None) -> str | None:
    """The text with the mark that click looks for; docstrings have it as it is typed."""
    return text and text.replace(r"\b", "\b")


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="warehouse_assets")
def main() -> None:
    r"""A data warehouse as an asset graph: files come in, answers come out.

    \b
    warehouse samples     make sample sources
    warehouse ingest      take what is in the inbox, compute and publish what follows
    warehouse answers     show the answers
    """
    load_dotenv(Path(".env"))  # as Dagster's own commands do
    tell_misspelt_settings(lambda message: click.echo(f"Warning: {message}", err=True))


@main.command()
@click.argument("files", nargs=-1, type=_FILE)
@click.option("--posts", "posts", multiple=True, type=_FILE, help="A file of posts, however named.")
@click.option("--votes", "votes", multiple=True, type=_FILE, help="A file of votes, however named.")
@click.option("--trips", "trips", multiple=True, type=_FILE, help="A file of trips, however named.")
def ingest(
    files: Sequence[Path], posts: Sequence[Path], votes: Sequence[Path], trips: Sequence[Path]
) -> None:
    """Take FILES (of posts, votes or trips), then compute and publish what follows from them.

    The files are copied into the inbox; yours stay where they are. Without any file, everything
    that waits in the inbox is taken. What was taken and what was rejected, and why, is printed,
    and which files stay in the inbox because nobody takes them.

    Exit code: 0 if all went well, even if single records were rejected or a file was taken
    before; 1 if a step or a blocking check failed, or nothing in one of FILES could be used
    (without FILES: in one of those that waited), now or when it was taken before; 2 for wrong
    usage; 130 after Ctrl-C, which ends it at once: run it again, and it goes on.
    """
    from warehouse_assets.cli import events, ingestion, runs, terminal

    settings = Settings.from_environment()
    named: list[tuple[Path, str | None]] = [(path, None) for path in files]
    for table, paths in (("posts", posts), ("votes", votes), ("trips", trips)):
        named += [(path, table) for path in paths]
    deliveries = ingestion.recognised(named)
    started = datetime.now(timezone.utc)
    with terminal.progress_bars() as bars:
        delivered = ingestion.deliver(settings, deliveries, bars.listener)
        assets = sorted({delivery.holds for delivery in deliveries}) or None
        with events.printed(delivered.ingestions, bars.console):
            result = runs.materialize(settings, {"progress": bars.listener}, assets)
    for delivery in delivered.known:
        known = visible(f"{delivery.path} was taken before: its content is known.")
        terminal.out.print(known, markup=False)
    ingestion.print_taken(settings, result, started)
    ingestion.print_left_behind(settings)
    refused = ingestion.print_refused(result, delivered)
    terminal.print_failed_checks(_errors(result.get_asset_check_evaluations()))
    _end(result, failed=refused)


_DAY = click.DateTime(["%Y-%m-%d"])


@main.command()
@click.argument("names", nargs=-1)
@click.option(
    "--limit", type=_COUNT, default=20, show_default=True, help="Rows to show of each answer."
)
@click.option("--region", help="Of trips: the weekly average of this region.")
@click.option("--box", help="Of trips: that of this box, MIN_LON,MIN_LAT,MAX_LON,MAX_LAT.")
@click.option(
    "--match",
    type=click.Choice(["origin", "destination", "both"]),
    default="origin",
    show_default=True,
    help="Which end of a trip has to be in the box.",
)
@click.option("--from", "first", type=_DAY, help="First day, YYYY-MM-DD.")
@click.option("--to", "last", type=_DAY, help="Last day, included.")
def answers(
    names: Sequence[str],
    limit: int,
    region: str | None,
    box: str | None,
    match: Any,
    first: datetime | None,
    last: datetime | None,
) -> None:
    r"""Show the answers, from the warehouse: all of them, or the tables and questions NAMES.

    \b
    warehouse answers trips --region Prague --from 2018-05-01
    warehouse answers trips --box 14.40,50.05,14.45,50.10 --match both
    """
    from warehouse_assets.cli import areas, queries, terminal

    settings = Settings.from_environment()
    area = areas.Area(region, box, match, first, last)
    if area.is_given:
        if tuple(names) not in {(), ("trips",)}:
            raise click.UsageError("--region, --box, --from and --to are of `answers trips`.")
        average, answer = areas.answer(settings, area, limit)
        terminal.print_table(answer.title, answer.names, answer.rows, answer.more)
        terminal.out.print(average, markup=False)
        return
    for answer in queries.answers(settings, names, limit):
        # Words instead of names: long names would be broken anywhere.
        headings = [name.replace("_", " ") for name in answer.names]
        terminal.print_table(answer.title, headings, answer.rows, answer.more)


@main.command()
@click.argument("query")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print the rows; json is an object per line.",
)
@click.option(
    "--limit", type=_COUNT, default=100, show_default=True, help="Rows to show in a table."
)
def sql(query: str, shape: str, limit: int) -> None:
    r"""Run QUERY, in DuckDB's SQL, over the tables of the lake.

    \b
    warehouse sql "SELECT * FROM rejected_records"
    warehouse sql "SHOW TABLES"
    warehouse sql "DESCRIBE votes"
    """
    from warehouse_assets.cli import queries, terminal

    if not query.strip():
        raise click.UsageError("There is no query.")
    settings = Settings.from_environment()
    with queries.lake_query(settings, query) as (names, rows):
        if shape == "csv":
            terminal.write_csv(names, rows)
        elif shape == "json":
            terminal.write_json_lines(names, rows)
        else:
            shown = list(islice(rows, limit))
            terminal.print_table("", names, shown, sum(1 for _ in rows))


@main.command()
def rebuild() -> None:
    """Write the whole warehouse anew from the lake.

    A database file that cannot be read is moved aside first.
    """
    from warehouse_assets.cli import queries, terminal

    settings = Settings.from_environment()
    with terminal.progress_bars() as bars:
        rebuilt = queries.rebuild(settings, bars.listener)
    if rebuilt.moved_aside is not None:
        moved = f"The unreadable database was moved to {rebuilt.moved_aside}."
        terminal.out.print(moved, markup=False)
    for name, rows in rebuilt.rows.items():
        terminal.out.print(f"{name}: {rows:,} rows")


@main.command()
def maintain() -> None:
    """Make the lake small and quick to open, and the warehouse's statistics current.

    Small files are put together; files that no version of the last TIME_TRAVEL_DAYS needs are
    removed, and so is what Dagster keeps of runs that ended RUN_RETENTION_DAYS ago. The schedule
    does the same each night. Damage that `warehouse check --deep` would find is named at the end,
    with exit code 1; a table with a damaged file is left as it is.
    """
    from warehouse_assets.cli import runs, terminal
    from warehouse_assets.graph import maintenance
    from warehouse_assets.graph.resources import build_resources

    settings = Settings.from_environment()
    resources = build_resources(settings)
    maintenance.forget_ingestions(settings)
    with runs.history(settings) as instance:
        maintenance.forget_runs(instance, settings.run_retention_days)
    for name, maintained in maintenance.maintain_all(
        resources["lake"], resources["warehouse"], settings, terminal.err.print
    ):
        terminal.out.print(maintenance.account(name, maintained))


@main.command()
@click.option(
    "--deep",
    is_flag=True,
    help="Also compare every file of the lake with the hash kept of it, and the rows of the "
    "warehouse with those of the lake; minutes for gigabytes.",
)
def check(deep: bool) -> None:
    """Make every asset check and show what failed.

    Exit code: 0 if no check failed, warnings aside; 1 if one failed, as all checks of a table do
    that cannot be read; 2 for wrong usage; 3 if there is nothing to check, for no table has a row.
    """
    from warehouse_assets.cli import runs, terminal

    settings = Settings.from_environment()
    result = runs.check(settings)
    if result is None:
        terminal.err.print(
            f"There is nothing to check: no table of the lake {settings.lake} has a row. Set "
            "WAREHOUSE_HOME (or LAKE_URI) to where the warehouse is, or take data with `warehouse "
            "ingest` first.",
            markup=False,
        )
        sys.exit(_NOTHING_TO_CHECK)
    evaluations = result.get_asset_check_evaluations()
    terminal.print_failed_checks(evaluations)
    passed = sum(1 for evaluation in evaluations if evaluation.passed)
    terminal.out.print(f"{passed:,} of {len(evaluations):,} checks passed.")
    is_damaged = deep and not terminal.print_deep_check(runs.check_deeply(settings))
    _end(result, failed=is_damaged or bool(_errors(evaluations)))


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def backup(folder: Path) -> None:
    """Copy what must be kept into FOLDER, consistently, while runs go on.

    That is the lake, the inbox, the archive and the keys of the API; the rest is made of them. A
    folder with a backup is brought up to date. A complete one has a file `backup.json`. To restore,
    copy the folder and set WAREHOUSE_HOME to the copy; the next run takes what came since.
    """
    from warehouse_assets.backup import back_up
    from warehouse_assets.cli import runs, terminal

    settings = Settings.from_environment()
    tables = runs.results_before_sources(settings)
    done = back_up(settings, folder, tables, terminal.err.print)
    terminal.out.print(
        f"{folder} holds {len(done.versions)} tables and {done.files:,} files; {done.copied:,} "
        f"of them, {done.bytes:,} bytes, were copied now.",
        markup=False,
    )


main.add_command(keys.api_key)
main.add_command(service.serve)
main.add_command(simulation.samples)
main.add_command(simulation.simulate)


def _errors(evaluations: Sequence["dg.AssetCheckEvaluation"]) -> list["dg.AssetCheckEvaluation"]:
    """The evaluations of checks that failed and are not warnings."""
    return [e for e in evaluations if not e.passed and e.severity.value == "ERROR"]


def _end(result: "dg.ExecuteInProcessResult", failed: bool = False) -> None:
    """Say why steps failed and exit with 1 if the run did not succeed."""
    from warehouse_assets.cli import runs, terminal

    for step, reason in runs.failed_steps(result):
        terminal.err.print(f"[bold red]{step} failed[/]: ", end="")
        terminal.err.print(reason, markup=False)
    if failed or not result.success:
        sys.exit(1)
