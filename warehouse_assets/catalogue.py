"""Every table there is, and every question it answers, family by family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from sqlalchemy import Table

import warehouse_assets.defs
from warehouse_assets.tables import REJECTED_RECORDS, UNKNOWN_FIELDS

_DECLARED = {
    file.parent.name: import_module(f"warehouse_assets.defs.{file.parent.name}.tables")
    for file in sorted(Path(warehouse_assets.defs.__path__[0]).glob("*/tables.py"))
}

FAMILIES: Mapping[str, Sequence[Table]] = {
    name: declared.TABLES for name, declared in _DECLARED.items()
}
"""The tables of each family, by its name."""

TABLES: tuple[Table, ...] = (
    *(table for tables in FAMILIES.values() for table in tables),
    REJECTED_RECORDS,
    UNKNOWN_FIELDS,
)

ANSWER_TABLES = tuple(table for table in TABLES if "answers" in table.info)
"""The tables that answer a question, which is in their `info["answers"]`."""


@dataclass(frozen=True)
class Question:
    """A question that a SELECT over the warehouse answers, in SQL of SQLite and PostgreSQL.

    Args:
        path: the file of the SELECT; its stem is the question's name.
        reads: the tables that it names.
    """

    text: str
    path: Path
    reads: Sequence[Table]

    @property
    def name(self) -> str:
        """The name by which people ask for it."""
        return self.path.stem


QUESTIONS = tuple(
    Question(text, Path(str(family.__file__)).parent / "sql" / "questions" / f"{name}.sql", reads)
    for family in _DECLARED.values()
    for name, text, reads in getattr(family, "QUESTIONS", ())
)
