"""Commands as a user gives them, start-up included, where there is nothing new to take.

The baseline is Dagster materialising as many empty assets, in process, with the same history:
what is above it is what finding out costs that nothing is new.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.context import Context
from benchmarks.subjects.homes import environment
from warehouse_assets.catalogue import TABLES
from warehouse_assets.defs.forum.tables import TABLES as FORUM_TABLES
from warehouse_assets.tables import REJECTED_RECORDS

_FAMILIES = {"": TABLES, "forum": (*FORUM_TABLES, REJECTED_RECORDS)}

_EMPTY = """
import dagster as dg

def empty(name):
    @dg.asset(name=name)
    def asset():
        return None
    return asset

defs = dg.Definitions(
    assets=[empty("empty_" + str(number)) for number in range(COUNT)],
    executor=dg.in_process_executor,
)
"""


def samples_template(context: Context) -> None:
    """Have the warehouse of other cases take samples of all families, too."""
    for command in ("samples", "ingest"):
        _run(context, _home(context), _warehouse(command))


def empty_assets(context: Context, family: str = "") -> None:
    """Measure `dagster asset materialize` of as many assets that do nothing."""
    home = _home(context)
    count = len(_FAMILIES[family])
    text = _EMPTY.replace("COUNT", str(count))
    (context.folder / "empty_assets.py").write_text(text, encoding="utf-8")
    _measure(context, home, _dagster("empty_assets", "*"))


def materialize(context: Context, family: str = "") -> None:
    """Measure `dagster asset materialize` of a family's assets or all, with their checks."""
    names = " or ".join(f'key:"{table.name}"' for table in _FAMILIES[family])
    _measure(context, _home(context), _dagster("warehouse_assets.definitions", names))


def ingest(context: Context, file: str = "") -> None:
    """Measure `warehouse ingest`, of a file that was taken before if one is named."""
    files = [str(getattr(context.data, file))] if file else []
    _measure(context, _home(context), _warehouse("ingest", *files))


def _home(context: Context) -> Path:
    # Not a copy: its sources would be other files, to be looked at anew.
    return context.templates / "home"


def _dagster(module: str, selection: str) -> Sequence[str]:
    command = [sys.executable, "-m", "dagster", "asset", "materialize"]
    return [*command, "--select", selection, "-m", module]


def _warehouse(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-c", "from warehouse_assets.cli import main; main()", *arguments]


def _measure(context: Context, home: Path, command: Sequence[str]) -> None:
    with context.measuring():
        _run(context, home, command)


def _run(context: Context, home: Path, command: Sequence[str]) -> None:
    variables = {**os.environ, **environment(home), "DAGSTER_HOME": str(home / "dagster")}
    variables.pop("MEMORY_LIMIT")
    # The module with the empty assets is in the folder of the measurement.
    variables["PYTHONPATH"] = os.pathsep.join([str(context.folder), str(Path.cwd())])
    ended = subprocess.run(
        command, env=variables, cwd=context.folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
