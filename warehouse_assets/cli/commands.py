"""The `warehouse` command: what a person does with the warehouse from a terminal."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from warehouse_assets.errors import WarehouseAssetsError, trouble_of_disk
from warehouse_assets.terminal_text import visible

COMMANDS: Mapping[str, tuple[str, str]] = {
    "samples": ("samples", "Make sample sources, where there are none."),
    "ingest": ("ingest", "Take files, then compute and publish what follows from them."),
    "answers": ("answers", "Show the answers, from the warehouse."),
    "sql": ("answers", "Run a query, in DuckDB's SQL, over the tables of the lake."),
    "changes": ("past", "Show what changed in a table or an answer."),
    "why": ("past", "Show why a row is what it is, down to what came in."),
    "trace": ("past", "Show what became of each line of a file."),
    "label": ("past", "Keep the tables as they are now beyond TIME_TRAVEL_DAYS."),
    "check": ("upkeep", "Make every asset check and show what failed."),
    "recompute": ("ingest", "Compute weeks of all tables anew."),
    "rebuild": ("upkeep", "Write the whole warehouse anew from the lake."),
    "maintain": ("upkeep", "Make the lake small and quick to open."),
    "backup": ("upkeep", "Copy what must be kept, consistently, while runs go on."),
    "api-key": ("service", "Make a key for the API."),
    "serve": ("service", "Serve the API and its page until Ctrl+C or SIGTERM."),
    "mcp": ("agents", "Let agents ask: a server of the Model Context Protocol."),
    "simulate": ("samples", "Let a school and deliveries live, until Ctrl-C."),
}
"""Each command with the module that has it as a function of its name, and what it does.

A module is imported when its command is used: Dagster takes seconds.
"""


class _Group(click.Group):
    """Imports commands when they are used, and shows errors meant for people without traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"warehouse_assets.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

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


@click.group(
    cls=_Group,
    epilog="Settings are environment variables; docs/settings.md lists them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="warehouse_assets")
def main() -> None:
    """A data warehouse as an asset graph: files come in, answers come out."""
    from dotenv import load_dotenv

    load_dotenv(Path(".env"))  # as Dagster's own commands do

    from warehouse_assets.setting_slips import slips_in_words

    for slip in slips_in_words():
        click.echo(f"Warning: {slip}", err=True)
