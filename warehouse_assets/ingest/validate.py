"""The one judge of records: from declared columns to rows, or to reasons with what was seen.

A reader makes of its records a relation of texts, in DuckDB's SQL: for each of `Validator.fields`
its text, under the name `text(field)`, null where the record lacks it; and, as far as it is judged
whether a record is good, `POSITION`, `RAW`, `PROBLEM` and `SEEN`. Then

- `query` adds the value of every column, and `is_unusable` tells cheaply whether a record is to be
  looked at again: so one pass reads millions of records of which few are bad;
- `rejects` gives those that cannot be used, with their reasons.

A column names its field in `info={"field": …}`. One declared with `nullable=False` must be there;
any other may be null, and its field may lack in the whole source. One of `info={"is_position":
True}` gets the position of the record. Which texts are values, `values` tells. What else is wrong
with a record, a family says by `Rule`; what is made of texts in another way than declared, by
`values`:

    Validator(
        ORDERS,
        values={"is_paid": f"{text('paid_at')} <> ''"},
        rules=[Rule("amount < 0", "amount is negative", text("amount"))],
        more_fields=["paid_at"],
    )
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Table

from warehouse_assets.ingest.values import Field, Rule, text
from warehouse_assets.tables import column_names, duckdb_type

__all__ = ["POSITION", "PROBLEM", "RAW", "SEEN", "Rule", "Validator", "shown", "text"]

POSITION = "_position"
"""Column of a relation of texts: where the record is."""

RAW = "_raw"
"""Column of a relation of texts: the record as it came."""

PROBLEM = "_problem"
"""Column of a relation of texts: why the record cannot be used, if it is known already, or null."""

SEEN = "_seen"
"""Column of a relation of texts: what was seen that makes the problem; may be null."""

_MOST_CHARACTERS_SHOWN = 60


class Validator:
    """Judges records for one table.

    Args:
        table: its columns name their fields.
        values: SQL over texts for the values of columns that are made otherwise than declared, in
            their order; it may use the values of columns before them. They are not looked at, but
            by rules.
        rules: what is wrong with a record beside what follows from the declaration.
        more_fields: fields that only `values` and `rules` use.
        parts: SQL over texts that `values` and `rules` use under these names; each is worked out
            once.

    Attributes:
        fields: the fields that are wanted of a record.
        columns: the columns that get a value, in the order of the table.
        is_unusable: SQL over texts and values, true for a record that cannot be used.
    """

    def __init__(
        self,
        table: Table,
        values: Mapping[str, str] | None = None,
        rules: Sequence[Rule] = (),
        more_fields: Sequence[str] = (),
        parts: Mapping[str, str] | None = None,
    ) -> None:
        self.table = table
        positions = {c.name: POSITION for c in table.columns if c.info.get("is_position")}
        self._values = {**positions, **(values or {})}
        self._rules = rules
        self._parts = [f"{part} AS {name}" for name, part in (parts or {}).items()]
        declared: dict[str, list[Column[Any]]] = {}
        for column in table.columns:
            if "field" in column.info:
                declared.setdefault(column.info["field"], []).append(column)
        self.fields = list(dict.fromkeys([*declared, *more_fields]))
        self._read = [
            Field(name, columns)
            for name, columns in declared.items()
            if not self._values.keys() >= {column.name for column in columns}
        ]
        conditions = [when for field in self._read for when in field.unusable()]
        conditions += [rule.is_broken for rule in rules]
        # In a projection DuckDB works out every part of an OR, in a CASE only those it needs.
        self.is_unusable = f"""(CASE WHEN
            {" OR ".join(f"({condition})" for condition in conditions) or "false"}
            THEN true ELSE false END)"""
        read = {column.name for field in self._read for column in field.columns} | {*self._values}
        self.columns = [name for name in column_names(table) if name in read]

    def query(self, texts: str) -> str:
        """SQL for `texts` and the value of each column under its name; null where it has none."""
        layers = (
            self._parts,
            [cast for field in self._read for cast in field.casts()],
            [check for field in self._read for check in field.checks()],
            [value for field in self._read for value in field.values()],
            [
                f'CAST({value} AS {duckdb_type(self.table.c[name])}) AS "{name}"'
                for name, value in self._values.items()
            ],
        )
        for layer in layers:
            texts = f"SELECT *, {', '.join(layer)} FROM ({texts})" if layer else texts
        return texts

    def rejects(self, texts: str, more: Sequence[str] = ()) -> str:
        """SQL for position, reason, value and raw of those of `texts` that cannot be used.

        Args:
            more: columns of `texts` that are handed on.
        """
        names = "".join(f", {name}" for name in more)
        return f"""SELECT {self._told()}{names} FROM ({self.query(texts)})
            WHERE {PROBLEM} IS NOT NULL OR {self.is_unusable}"""

    def _told(self) -> str:
        """SQL for position, reason, value and raw of a record that cannot be used."""
        faults = list(self._faults())
        reasons = [f"CASE WHEN {f.is_broken} THEN {_quoted(f.reason)} END" for f in faults]
        values = [f"CASE WHEN {f.is_broken} THEN {shown(f.seen)} END" for f in faults if f.seen]
        return f"""{POSITION} AS position,
            CASE WHEN {PROBLEM} IS NOT NULL THEN {PROBLEM}
                ELSE concat_ws('; ', {", ".join(reasons) or "NULL"}) END AS reason,
            CASE WHEN {PROBLEM} IS NOT NULL THEN {shown(SEEN)}
                ELSE nullif(concat_ws('; ', {", ".join(values) or "NULL"}), '') END AS value,
            {RAW} AS raw"""

    def _faults(self) -> Iterator[Rule]:
        for field in self._read:
            yield from field.faults()
        yield from self._rules


def shown(expression: str) -> str:
    """SQL for a text as people are shown it: of a long one the beginning."""
    return (
        f"CASE WHEN length({expression}) > {_MOST_CHARACTERS_SHOWN} "
        f"THEN left({expression}, {_MOST_CHARACTERS_SHOWN}) || '…' ELSE {expression} END"
    )


def _quoted(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"
