"""All that a lake holds."""

from warehouse_assets.catalogue import TABLES
from warehouse_assets.tables import LOADS, column_names, identifiers
from warehouse_assets_tests.house import Home

ALL = tuple(str(table.name) for table in TABLES)


def everything(house: Home) -> dict[str, list[tuple[object, ...]]]:
    """The rows of all tables of the lake, without times of rejection, and but for the loads."""
    found = {}
    for table in TABLES:
        if table is LOADS:  # which tells of when and in which run
            continue
        names = [n for n in column_names(table) if n not in {"rejected_at", "first_seen_at"}]
        found[str(table.name)] = house.stored(str(table.name), identifiers(names))
    return found
