"""Looking for damage that no check of values can see: of files, and of rows changed by hand."""

from dataclasses import dataclass

from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import PermanentError
from warehouse_assets.lake import Lake, LakeTable, verify
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import Warehouse
from warehouse_assets.warehouse.compare import difference


@dataclass
class DeepCheck:
    """What looking at everything found.

    Args:
        files: files compared with the hash that was kept of them.
        without_hash: files that have none; maintenance keeps one.
        tables: tables of the warehouse compared with the lake.
        problems: what is wrong and what to do, a sentence or two each.
    """

    files: int
    without_hash: int
    tables: int
    problems: list[str]


def deep_check(lake: Lake, warehouse: Warehouse, settings: Settings) -> DeepCheck:
    """Compare every file of the lake with its hash, and the warehouse's rows with the lake's.

    Raises:
        BusyError: the warehouse cannot be reached.
    """
    found = DeepCheck(0, 0, 0, [])
    for declaration in TABLES:
        table = lake.table(declaration)
        try:
            if not table.exists():
                continue
            verified = verify(table)
        except PermanentError as error:
            found.problems.append(str(error))
            continue
        found.files += verified.files - len(verified.without_hash)
        found.without_hash += len(verified.without_hash)
        if verified.damaged:
            found.problems.append(" ".join([*verified.damaged, table.remedy]))
        elif settings.publishes(declaration):
            found.tables += 1
            found.problems += rows_problems(lake, warehouse, table, settings)
    # What is wrong with the whole database is said of each table.
    found.problems = list(dict.fromkeys(found.problems))
    return found


def rows_problems(
    lake: Lake, warehouse: Warehouse, table: LakeTable, settings: Settings, is_run_over: bool = True
) -> list[str]:
    """In what the warehouse's copy of a table differs from the lake, and what to do; none is well.

    Args:
        is_run_over: whether a table that is still to be published is a problem, too.

    Raises:
        BusyError: the warehouse cannot be reached.
    """
    if not settings.publishes(table.declaration):
        return []
    name = f"The table {table.name} of the warehouse {warehouse}"
    try:
        found = difference(lake, warehouse, table)
    except PermanentError as error:
        return [str(error)]
    if found is None or (found.is_behind and not is_run_over):
        return []
    if found.is_behind:
        return [f"{name} is behind the lake. {found.words} The next run publishes it."]
    remedy_of_rows = "`warehouse rebuild` writes it anew from the lake."
    return [f"{name} differs from the lake. {found.words} {remedy_of_rows}"]
