"""Which rows are meant where a table is computed in part, in what it reads and in what it holds."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Table

from warehouse_assets.tables import WEEK, week_of


@dataclass(frozen=True)
class Touched:
    """Rows by their value in a column that tables share, by their week, or by both.

    Args:
        relation: of DuckDB: the values, in a column of that name, and the weeks, in `WEEK`.
        per: the column, if rows are meant by its values.
        weeks: the weeks in the relation, if rows are meant by their week.
    """

    relation: str
    per: str | None = None
    weeks: Collection[date] | None = None

    @property
    def columns(self) -> list[str]:
        """The columns of the relation by which rows are meant."""
        return [*([self.per] if self.per else []), *([WEEK] if self.weeks is not None else [])]

    def rows(self, declaration: Table, relation: str, others: bool = False) -> str:
        """SQL for the rows of a relation with the columns of a table that are meant.

        Args:
            others: have those that are not meant instead.
        """
        conditions = [f'_row."{self.per}" = _touched."{self.per}"'] if self.per else []
        if self.weeks is not None:
            conditions.append(f"{week_of(declaration, '_row.')} = _touched.{WEEK}")
        how = "ANTI" if others else "SEMI"
        return f"""FROM {relation} AS _row {how} JOIN {self.relation} AS _touched
            ON {" AND ".join(conditions)}"""
