"""What a command says of a run that has ended, and the exit code that follows."""

import sys
from collections.abc import Iterable

import dagster as dg

from warehouse_assets.cli import terminal
from warehouse_assets.runs import failed_steps


def end(result: dg.ExecuteInProcessResult, *, failed: bool = False) -> None:
    """Say why steps failed, and exit with 1 if the run did not succeed or the command `failed`."""
    for step, reason in failed_steps(result):
        terminal.err.print(f"[bold red]{step} failed[/]: ", end="")
        terminal.err.print(reason, markup=False)
    if failed or not result.success:
        sys.exit(1)


def print_failed_checks(evaluations: Iterable[dg.AssetCheckEvaluation]) -> None:
    """Print why the checks that did not pass failed, with sample rows.

    What is the same of several, such as that a table cannot be read, is printed once.
    """
    names: dict[tuple[bool, str, str], list[str]] = {}
    for evaluation in evaluations:
        if evaluation.passed:
            continue
        is_error = evaluation.severity.value == "ERROR"
        sample = evaluation.metadata.get("sample")
        told = (is_error, evaluation.description or "", "" if sample is None else str(sample.value))
        name = f"{evaluation.asset_key.to_user_string()}.{evaluation.check_name}"
        names.setdefault(told, []).append(name)
    for (is_error, description, rows), alike in names.items():
        word, style = ("FAILED", "bold red") if is_error else ("WARNING", "bold yellow")
        terminal.out.print(f"[{style}]{word}[/] [bold]{', '.join(alike)}[/]: ", end="")
        terminal.out.print(description, markup=False)
        if rows:
            terminal.out.print(rows, markup=False)
