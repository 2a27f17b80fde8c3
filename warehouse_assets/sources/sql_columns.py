"""Which columns of a table of a SQL database are the ones that are wanted."""

from collections.abc import Sequence
from dataclasses import dataclass

from warehouse_assets.errors import SourceError


@dataclass(frozen=True)
class Wanted:
    """The table and the columns that are to be read.

    Args:
        table: the table's name.
        columns: the names of its columns; those that it lacks are missing in what is read.
        required: of each of these groups of columns it must have at least one.
    """

    table: str
    columns: Sequence[str]
    required: Sequence[Sequence[str]]


def found_name(name: str, names: Sequence[str]) -> str | None:
    """Which of `names` is `name`: the same, else the first that differs in case alone."""
    if name in names:
        return name
    folded = name.casefold()
    return next((found for found in names if found.casefold() == folded), None)


def matched(wanted: Wanted, found: Sequence[str], place: str, setting: str) -> dict[str, str]:
    """The wanted columns that there are, in their order, each with its name in the database.

    Args:
        found: the names of the columns of the table.
        place: the database, in words, for the error.
        setting: the setting that says where it is.

    Raises:
        SourceError: a required column is not there.
    """
    pairs = {name: found_name(name, found) for name in wanted.columns}
    present = {name: there for name, there in pairs.items() if there is not None}
    missing = [" or ".join(group) for group in wanted.required if not present.keys() & set(group)]
    if missing:
        words = f"has a table {wanted.table} without the column {', '.join(missing)}"
        raise not_as_it_should_be(place, setting, words, "columns", found)
    return present


def unwanted(wanted: Wanted, found: Sequence[str]) -> list[str]:
    """Which of the columns `found` are not wanted."""
    taken = {found_name(name, found) for name in wanted.columns}
    return [name for name in found if name not in taken]


def not_as_it_should_be(
    place: str, setting: str, words: str, kind: str, found: Sequence[str]
) -> SourceError:
    """The error of a database at `place` that `words` are said of, with what was `found` there."""
    there = f"Its {kind} are {', '.join(found)}" if found else f"It has no {kind}"
    return SourceError(
        f"{place} {words}. {there}. Check whether the setting {setting} names the right database."
    )


def quoted(name: str) -> str:
    """`name` as an identifier in SQL, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'
