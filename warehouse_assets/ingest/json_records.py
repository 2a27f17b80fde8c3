"""Records of JSON: texts that DuckDB takes apart in SQL, and arrays that Python does.

In both a field is looked at as it is written: one that is an array or an object is text, its JSON.
A record in which one of the wanted fields is there more than once is rejected: which of the values
is meant is not guessed.
"""

import json
import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import duckdb
from arro3.core import Table as ArrowTable
from deltalake import DeltaTable

from warehouse_assets.ingest.lines import LineReader, arrow_table
from warehouse_assets.ingest.load import Part, upsert
from warehouse_assets.ingest.plain_text import without_stray_bytes
from warehouse_assets.ingest.staging import FIELDS, create_stage, sort_out
from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, Validator, literal, text
from warehouse_assets.lake import Lake, LakeTable, Written
from warehouse_assets.times import BLANK

_NOT_BLANK = f"'[^{BLANK[1:]}'"  # faster here than what is used of values
_JSON = "_json"
_KIND_OF_VALUE = f"""CASE json_type({_JSON}) WHEN 'ARRAY' THEN 'an array'
    WHEN 'VARCHAR' THEN 'a string' WHEN 'BOOLEAN' THEN 'true or false' WHEN 'NULL' THEN 'null'
    ELSE 'a number' END"""
_UNSEEN = ((0, "a NUL byte"), (0xFEFF, "a byte-order mark"))
# Python refuses to read numbers of thousands of digits; no key has more than twenty.
_MOST_DIGITS = 40
_CHARACTERS_SHOWN = 100
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # as DuckDB does


def stage_json(
    connection: duckdb.DuckDBPyConnection,
    validator: Validator,
    lines: ArrowTable | str,
    repairs: Sequence[str] = (),
) -> int:
    """Sort records as `sort_out` does; returns how many were good.

    Args:
        lines: their `arrival`, `position`, `line`, `problem` and `seen`, as `sort_out` takes them.
        repairs: SQL for what a `line` may be meant to be, tried in turn before the line itself.
    """
    return sort_out(
        connection, validator, lines, lambda some: json_texts(validator.fields, some, repairs)
    )


def json_texts(fields: Sequence[str], lines: str, repairs: Sequence[str] = ()) -> str:
    """SQL for the texts of `fields` in the records of `lines`, as the validator takes them.

    `PROBLEM` and `SEEN` say of what is no JSON object, or has a field twice, what it is.
    """
    usual, *others = [*repairs, "line"]
    # Nearly all are as usual, and have fields. That is worked out once: within a CASE DuckDB works
    # out an expression each time that it is named.
    valid = " ".join(f"WHEN json_valid({text}) THEN {text}" for text in ["_usual", *others])
    structure = ", ".join(f'{_json_string(field)}: "VARCHAR"' for field in fields)
    values = {field: f"struct_extract(_fields, {literal(field)})" for field in fields}
    texts = ", ".join(f"{value} AS {text(field)}" for field, value in values.items())
    # What has no more names than values has none twice.
    filled = " + ".join(f"CAST({value} IS NOT NULL AS INTEGER)" for value in values.values())
    repeated = f"""list_filter([{", ".join(map(literal, fields))}], lambda field:
        len(list_filter({FIELDS}, lambda key: key = field)) > 1)"""
    return rf"""SELECT arrival, {POSITION}, {FIELDS}, {texts},
            replace(rtrim({RAW}, E'\r'), chr(0), chr(65533)) AS {RAW},
            CASE WHEN {PROBLEM} IS NOT NULL THEN {PROBLEM}
                WHEN {_JSON} IS NULL THEN {_not_json()}
                WHEN NOT _is_object THEN 'not a JSON object but ' || {_KIND_OF_VALUE}
                WHEN len({FIELDS}) > {filled} AND len({FIELDS}) > len(list_distinct({FIELDS}))
                    AND len({repeated}) > 0
                    THEN array_to_string({repeated}, ', ') || ' is there more than once'
                END AS {PROBLEM},
            CASE WHEN {PROBLEM} IS NOT NULL THEN {SEEN}
                WHEN {_JSON} IS NULL THEN {_where_unseen()} END AS {SEEN}
        FROM (
            -- What has no fields is mostly no object.
            SELECT *, CASE WHEN len({FIELDS}) > 0 THEN true
                ELSE coalesce(json_type({_JSON}) = 'OBJECT', false) END AS _is_object
            FROM (
                SELECT *, json_transform({_JSON}, '{{{structure}}}') AS _fields,
                    CASE WHEN _usual_fields IS NULL THEN json_keys({_JSON}) ELSE _usual_fields END
                        AS {FIELDS}
                FROM (
                    SELECT arrival, position AS {POSITION}, line AS {RAW}, problem AS {PROBLEM},
                        seen AS {SEEN},
                        CASE WHEN problem IS NOT NULL THEN NULL
                            WHEN _usual_fields IS NOT NULL THEN _usual {valid} END AS {_JSON},
                        _usual_fields
                    FROM (SELECT *, CASE WHEN problem IS NULL THEN TRY(json_keys(_usual)) END
                            AS _usual_fields
                        FROM (SELECT *, {usual} AS _usual FROM {lines}))
                    WHERE {_JSON} IS NOT NULL OR regexp_matches(line, {_NOT_BLANK})
                )
            )
        )"""


class NotJsonError(ValueError):
    """Text that is not JSON, perhaps because it was cut; the message says what it is."""


class NotAnArrayError(ValueError):
    """JSON that is not an array; the message says what it is."""


class AmbiguousRecord(dict[str, object]):
    """A JSON object in which a field is there more than once; as a dict it has the last of them.

    Attributes:
        pairs: all of its fields, as they came.
    """

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def json_array(body: bytes) -> list[object]:
    """The elements of the array in `body`, which is UTF-8.

    A number that Python cannot hold as it is written comes as its text.

    Raises:
        NotJsonError: it is no JSON.
        NotAnArrayError: it is JSON, but no array.
    """
    try:
        value = json.loads(
            without_stray_bytes(body),
            parse_int=_whole,
            parse_float=_float,
            parse_constant=str,
            object_pairs_hook=_record,
        )
    except (ValueError, RecursionError) as error:
        raise NotJsonError(_kind(body)) from error
    if not isinstance(value, list):
        raise NotAnArrayError(f"JSON that is not an array: {excerpt(body)}")
    return value


class Records(Part):
    """Records to be merged by key into the table of `validator`; the last of a key counts.

    Args:
        unit: what `rejected_records` calls the source; there each reading also has its number.
        records: elements of arrays, in order of arrival.
        first: the position of the first of them; the others follow.
    """

    def __init__(
        self, lake: Lake, validator: Validator, unit: str, records: Sequence[object], first: int = 1
    ) -> None:
        super().__init__({0: unit})
        self.lake = lake
        self.validator = validator
        self.given = records
        self.first = first

    def stage(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        """Judge the records as lines of JSON."""
        del scratch
        create_stage(connection, self.validator.table)
        # Half a character, which JSON can say, is no UTF-8.
        content = "\n".join(map(_written, self.given)).encode("utf-8", "surrogatepass")
        reader = LineReader(BytesIO(content), len(content), self.first, is_numbered=True)
        records = arrow_table(lines.to_arrow() for lines in reader.read())
        self.records = stage_json(connection, self.validator, records)

    def write(
        self, connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable
    ) -> Written:
        """Merge them by the table's key."""
        return upsert(self.lake, connection, table, handle, {})


def _written(record: object) -> str:
    if not isinstance(record, AmbiguousRecord):
        return _as_json(record)
    pairs = (f"{_as_json(name)}:{_as_json(value)}" for name, value in record.pairs)
    return f"{{{','.join(pairs)}}}"


def excerpt(body: bytes) -> str:
    """The beginning of a text, in one line, for an error message."""
    text = " ".join(body[: 4 * _CHARACTERS_SHOWN].decode("utf-8", errors="replace").split())
    return text if len(text) <= _CHARACTERS_SHOWN else text[:_CHARACTERS_SHOWN] + "…"


def _not_json() -> str:
    """SQL for why a text that is not JSON is none: what cannot be seen in it is named."""
    cases = " ".join(
        f"WHEN contains({RAW}, chr({code})) THEN 'not valid JSON: it has {name}'"
        for code, name in _UNSEEN
    )
    return rf"""CASE {cases}
        WHEN regexp_matches({RAW}, ',\r?$') AND json_valid(rtrim({RAW}, E',\r'))
        THEN 'not valid JSON: a comma is behind it'
        ELSE 'not valid JSON' END"""


def _where_unseen() -> str:
    """SQL for where in a text that is not JSON is what cannot be seen; null if nothing is."""
    cases = " ".join(
        f"WHEN contains({RAW}, chr({code})) "
        f"THEN 'byte ' || (strlen(split_part({RAW}, chr({code}), 1)) + 1)"
        for code, _ in _UNSEEN
    )
    return f"CASE {cases} END"


def _json_string(field: str) -> str:
    return json.dumps(field, ensure_ascii=False).replace("'", "''")


def _kind(body: bytes) -> str:
    if not body.strip():
        return "nothing"
    words = "an HTML page" if body.lstrip().startswith(b"<") else "what is not whole JSON"
    return f"{words}: {excerpt(body)}"


def _record(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    return record if len(record) == len(pairs) else AmbiguousRecord(pairs)


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits
