"""The one judge of records: from declared columns to rows, or to reasons with what was seen.

A reader makes of its records a relation of texts, in DuckDB's SQL: for each of `Validator.fields`
its text, under the name `text(field)`, null where the record lacks it; and, as far as it is judged
whether a record is good, `POSITION`, `RAW`, `PROBLEM` and `SEEN`. Then

- `query` adds the value of every column, and `is_unusable` tells cheaply whether a record is to be
  looked at again: so one pass reads millions of records of which few are bad;
- `rejects` gives those that cannot be used, with their reasons.

A column names its field in `info={"field": …}`. One declared with `nullable=False` must be there;
any other may be null, and its field may lack in the whole source. One of `info={"is_position":
True}` gets the position of the record. What else is wrong with a record, a family says by `Rule`;
what is made of texts in another way than declared, by `values`:

    Validator(
        ORDERS,
        values={"is_paid": f"{text('paid_at')} <> ''"},
        rules=[Rule("amount < 0", "amount is negative", text("amount"))],
        more_fields=["paid_at"],
    )

Which texts are values:

- Blanks around a value are ignored, and nothing is rounded or guessed.
- A whole number has digits and perhaps a fraction of zeros, for programs write so that keep whole
  numbers with gaps as floating point. A number is decimal, perhaps with an exponent, and finite.
- `true`, `false`, `1` and `0` are true or false, in any case of letters.
- A date is `YYYY-MM-DD`; what is a time, `times` tells.
- Two columns of type Double that name the same field are the longitude and the latitude of a point
  in WKT, `POINT (lon lat)`.
- Blank text is none, but for an optional text, which is kept as it came.

The usual form of each is recognised by what costs little more than the cast alone: a text that
DuckDB would write as it is, it has not guessed at. Only what has another form is looked at with
regular expressions, which cost ten times as much.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Column, Date, DateTime, Double, Integer, Table, Text

from warehouse_assets.tables import column_names, duckdb_type, identifiers
from warehouse_assets.times import BLANK, is_blank, time_expression, trimmed

POSITION = "_position"
"""Column of a relation of texts: where the record is."""

RAW = "_raw"
"""Column of a relation of texts: the record as it came."""

PROBLEM = "_problem"
"""Column of a relation of texts: why the record cannot be used, if it is known already, or null."""

SEEN = "_seen"
"""Column of a relation of texts: what was seen that makes the problem; may be null."""

_MOST_CHARACTERS_SHOWN = 60
_MOST_DEGREES = (180, 90)  # of a longitude and of a latitude, either way
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_POINT = rf"{BLANK}*(?i:point){BLANK}*\({BLANK}*({_NUMBER}){BLANK}+({_NUMBER}){BLANK}*\){BLANK}*"


@dataclass(frozen=True)
class _Form:
    """What a text must be like; of `within` SQL, in which `{}` is what DuckDB makes of it."""

    expected: str
    pattern: str = ""
    within: str = "true"


# DuckDB rounds '1.5', reads '0x10' and '1_000', and knows infinities. Beyond 15 digits a number
# with a fraction has been rounded.
_FORMS = (
    (Integer, _Form("a whole number", r"[+-]?([0-9]+|[0-9]{1,15}\.0+)")),
    (Boolean, _Form("true or false")),
    (Double, _Form("a number", _NUMBER, "isfinite({})")),
    (DateTime, _Form("a date and time")),
    (
        Date,
        _Form(
            "a date",
            "[0-9]{4}-[0-9]{2}-[0-9]{2}",
            "{} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'",
        ),
    ),
)


@dataclass(frozen=True)
class Rule:
    """What makes a record unusable.

    Args:
        is_broken: SQL over the texts and values of a record.
        reason: in words, a kind of fault; no value is in it.
        seen: SQL for the text that people are shown, if any.
    """

    is_broken: str
    reason: str
    seen: str | None = None


def text(field: str) -> str:
    """The name of the text of a field in a relation of texts."""
    return _own("text", field)


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
            _Field(name, columns)
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
        reasons = [f"CASE WHEN {f.is_broken} THEN {literal(f.reason)} END" for f in faults]
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


def literal(words: str) -> str:
    """A text as SQL writes it."""
    return "'" + words.replace("'", "''") + "'"


class _Field:
    """A field and the columns that are read from it.

    The expressions are layers of queries, for DuckDB computes once only what stands in a query of
    its own: `casts` over texts, `checks` over texts and casts, `values` over all of these.
    """

    def __init__(self, name: str, columns: Sequence[Column[Any]]) -> None:
        self.name = name
        self.columns = columns
        self._text = text(name)
        self._cast = _own("cast", name)
        self._is_usual = _own("is_usual", name)
        kinds = [isinstance(column.type, Double) for column in columns]
        self._is_point = kinds == [True, True]
        if len(columns) > 1 and not self._is_point:
            raise TypeError(f"{columns[0].table.name}: several columns are read from {name}")

    def casts(self) -> Iterator[str]:
        """What DuckDB makes of the text: mostly the value, sometimes what is none."""
        if self._is_point:
            # Between 'POINT (' and ')'; strlen counts bytes, but only ASCII is cast. By graphemes,
            # of which DuckDB has a faster way for ASCII than by characters.
            inside = f"substring_grapheme({self._text}, 8, strlen({self._text}) - 8)"
            yield f"TRY_CAST(string_split({inside}, ' ') AS DOUBLE[]) AS {self._cast}"
        elif not isinstance(self.columns[0].type, Text | Boolean):
            yield f"TRY_CAST({self._text} AS {duckdb_type(self.columns[0])}) AS {self._cast}"

    def checks(self) -> Iterator[str]:
        """Whether a point has the usual form."""
        if self._is_point:
            within = " AND ".join(
                f"{self._cast}[{place}] BETWEEN -{most} AND {most}"
                for place, most in enumerate(_MOST_DEGREES, 1)
            )
            yield (
                f"len({self._cast}) = 2 AND {within} AND {self._text} LIKE 'POINT (%)' "
                # DuckDB takes 1_000 for a number.
                f"AND NOT contains({self._text}, '_') AS {self._is_usual}"
            )

    def values(self) -> Iterator[str]:
        """The value of each column, null where it has none."""
        if not self._is_point:
            yield f'{self._value(self.columns[0])} AS "{self.columns[0].name}"'
            return
        for place, (column, most) in enumerate(zip(self.columns, _MOST_DEGREES, strict=True), 1):
            number = f"TRY_CAST(regexp_extract({self._text}, '^{_POINT}$', {place}) AS DOUBLE)"
            within = f"list_filter([{number}], lambda number: number BETWEEN -{most} AND {most})"
            yield (
                f"CASE WHEN {self._is_usual} THEN {self._cast}[{place}] ELSE {within}[1] END "
                f'AS "{column.name}"'
            )

    def unusable(self) -> Iterator[str]:
        """Of each column, where it can be, SQL that is true where the record cannot be used."""
        for column in self.columns:
            if not column.nullable:
                yield f'"{column.name}" IS NULL'
            elif not isinstance(column.type, Text):
                # The text is looked at only where there is no value.
                yield (
                    f'CASE WHEN "{column.name}" IS NULL THEN NOT {is_blank(self._text)} '
                    "ELSE false END"
                )

    def faults(self) -> Iterator[Rule]:
        """What may be wrong with it."""
        if not all(column.nullable for column in self.columns):
            yield Rule(is_blank(self._text), f"{self.name} is missing")
        if isinstance(self.columns[0].type, Text):
            return
        is_none = " OR ".join(f'"{column.name}" IS NULL' for column in self.columns)
        is_wrong = f"NOT {is_blank(self._text)} AND ({is_none})"
        if not self._is_point:
            expected = _form(self.columns[0]).expected
            yield Rule(is_wrong, f"{self.name} is not {expected}", self._text)
            return
        lon, lat = _MOST_DEGREES
        for is_like, expected in (
            ("", f"a longitude (-{lon} to {lon}) and a latitude (-{lat} to {lat})"),
            ("NOT ", "POINT (longitude latitude)"),
        ):
            yield Rule(
                f"{is_wrong} AND {is_like}regexp_full_match({self._text}, '{_POINT}')",
                f"{self.name} is not {expected}",
                self._text,
            )

    def _value(self, column: Column[Any]) -> str:
        if isinstance(column.type, Text):
            return self._text if column.nullable else f"nullif({trimmed(self._text)}, '')"
        if isinstance(column.type, Boolean):
            word = f"lower({trimmed(self._text)})"
            return (
                f"CASE WHEN {word} IN ('true', '1') THEN true "
                f"WHEN {word} IN ('false', '0') THEN false END"
            )
        if isinstance(column.type, DateTime):
            return time_expression(self._text, self._cast)
        form, as_written = _form(column), f"CAST({self._cast} AS VARCHAR) = {self._text}"
        within = form.within.format(self._cast)
        is_like = f"regexp_full_match({self._text}, '{BLANK}*(?:{form.pattern}){BLANK}*')"
        return f"CASE WHEN {within} AND ({as_written} OR {is_like}) THEN {self._cast} END"


def _own(kind: str, field: str) -> str:
    return identifiers([f"_{kind}_" + field.replace('"', '""')])


def _form(column: Column[Any]) -> _Form:
    for kind, form in _FORMS:
        if isinstance(column.type, kind):
            return form
    raise TypeError(f"{column.name}: fields of type {column.type!r} are not read")
