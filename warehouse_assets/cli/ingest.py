"""The command `ingest`: take files, and compute and publish what follows from them."""

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import click

from warehouse_assets.cli import ingestion, runs, terminal
from warehouse_assets.cli.interruption import InterruptibleCommand
from warehouse_assets.settings import Settings
from warehouse_assets.terminal_text import visible

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command("ingest", cls=InterruptibleCommand)
@click.argument("files", nargs=-1, type=_FILE)
@click.option("--posts", "posts", multiple=True, type=_FILE, help="A file of posts, however named.")
@click.option("--votes", "votes", multiple=True, type=_FILE, help="A file of votes, however named.")
@click.option("--trips", "trips", multiple=True, type=_FILE, help="A file of trips, however named.")
def command(
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
    settings = Settings.from_environment()
    named: list[tuple[Path, str | None]] = [(path, None) for path in files]
    for table, paths in (("posts", posts), ("votes", votes), ("trips", trips)):
        named += [(path, table) for path in paths]
    deliveries = ingestion.recognised(named)
    started = datetime.now(timezone.utc)
    with terminal.progress_shown():
        delivered = ingestion.deliver(settings, deliveries)
        assets = sorted({delivery.holds for delivery in deliveries}) or None
        result = runs.materialize(settings, assets)
    for delivery in delivered.known:
        known = visible(f"{delivery.path} was taken before: its content is known.")
        terminal.out.print(known, markup=False)
    ingestion.print_taken(settings, result, started)
    ingestion.print_left_behind(settings)
    refused = ingestion.print_refused(result, delivered)
    runs.print_failed_checks(runs.failed_checks(result))
    runs.end(result, failed=refused)
