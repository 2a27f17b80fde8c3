"""Records of JSON, each a text, sorted into good rows and rejects with reasons.

A field that is an array or an object is text, its JSON. A record in which one of the wanted fields
is there more than once is rejected: which of the values is meant is not guessed.
"""

import json
from collections.abc import Sequence

import duckdb

from warehouse_assets.ingest.units import REJECTED, STAGED
from warehouse_assets.ingest.unknown_fields import known_fields, note_fields_of
from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, Validator, text
from warehouse_assets.tables import identifiers
from warehouse_assets.times import BLANK

LINES = "_lines"
"""Relation of records that a reader registers: `position`, `line`, `problem`, `seen`."""

_NOT_BLANK = f"'[^{BLANK[1:]}'"  # faster here than what is used of values
_JSON, _KEYS = "_json", "_keys"
_KIND_OF_VALUE = f"""CASE json_type({_JSON}) WHEN 'ARRAY' THEN 'an array'
    WHEN 'VARCHAR' THEN 'a string' WHEN 'BOOLEAN' THEN 'true or false' WHEN 'NULL' THEN 'null'
    ELSE 'a number' END"""
_UNSEEN = ((0, "a NUL byte"), (0xFEFF, "a byte-order mark"))


def stage_json(
    connection: duckdb.DuckDBPyConnection,
    validator: Validator,
    arrival: int = 0,
    *,
    lines: str = LINES,
    repairs: Sequence[str] = (),
) -> int:
    """Add records to the tables `STAGED` and `REJECTED`, and note fields that no column is for.

    Returns how many were good. All are read once; those that cannot be used, or that have more
    fields than values, a second time.

    Args:
        arrival: the number under which they came.
        lines: SQL for a relation like `LINES`.
        repairs: SQL for what a `line` may be meant to be, tried in turn before the line itself.
    """
    given = {"arrival": arrival}
    ((before,),) = connection.execute(f"SELECT coalesce(max(rowid), -1) FROM {STAGED}").fetchall()
    values = " + ".join(f"CAST({text(field)} IS NOT NULL AS INTEGER)" for field in validator.fields)
    # Only within a CASE does DuckDB leave out what follows a condition that settles the matter.
    ((count,),) = connection.execute(
        f"""INSERT INTO {STAGED} BY NAME
        SELECT {identifiers(validator.columns)}, CAST($arrival AS BIGINT) AS arrival, {POSITION},
            CASE WHEN {validator.is_unusable} OR {PROBLEM} IS NOT NULL THEN true ELSE false END
                AS _is_unusable,
            len({_KEYS}) <> {values} AS _has_other_fields
        FROM ({validator.query(_texts(validator.fields, lines, repairs))})""",
        given,
    ).fetchall()

    def looked_at_again(condition: str) -> str | None:
        chosen = f"SELECT {POSITION} FROM {STAGED} WHERE rowid > {before} AND {condition}"
        if not connection.execute(f"{chosen} LIMIT 1").fetchall():
            return None
        some = f"(FROM {lines} AS lines WHERE position IN ({chosen}))"
        return _texts(validator.fields, some, repairs)

    if some := looked_at_again("_has_other_fields"):
        relation = f"(SELECT CAST($arrival AS BIGINT) AS arrival, {_KEYS} AS fields FROM ({some}))"
        known = {*known_fields(validator.table), *validator.fields}
        note_fields_of(connection, relation, known, given)
    if some := looked_at_again("_is_unusable"):
        rejects = f"SELECT *, CAST($arrival AS BIGINT) AS arrival FROM ({validator.rejects(some)})"
        connection.execute(f"INSERT INTO {REJECTED} BY NAME {rejects}", given)
        ((bad,),) = connection.execute(f"DELETE FROM {STAGED} WHERE _is_unusable").fetchall()
        count -= bad
    return int(count)


def _texts(fields: Sequence[str], lines: str, repairs: Sequence[str]) -> str:
    """SQL for the texts of `fields` in the records of `lines`, as the validator takes them.

    `PROBLEM` and `SEEN` say of what is no JSON object, or has a field twice, what it is.
    """
    usual, *others = [*repairs, "line"]
    # The usual one is worked out once: within a CASE DuckDB does so each time that it is named.
    valid = " ".join(f"WHEN json_valid({text}) THEN {text}" for text in ["_usual", *others])
    structure = ", ".join(f'{_json_string(field)}: "VARCHAR"' for field in fields)
    values = {field: f"struct_extract(_fields, {_quoted(field)})" for field in fields}
    texts = ", ".join(f"{value} AS {text(field)}" for field, value in values.items())
    # What has no more names than values has none twice.
    filled = " + ".join(f"CAST({value} IS NOT NULL AS INTEGER)" for value in values.values())
    repeated = f"""list_filter([{", ".join(map(_quoted, fields))}], lambda field:
        len(list_filter({_KEYS}, lambda key: key = field)) > 1)"""
    return rf"""SELECT {POSITION}, {_KEYS}, {texts},
            replace(rtrim({RAW}, E'\r'), chr(0), chr(65533)) AS {RAW},
            CASE WHEN {PROBLEM} IS NOT NULL THEN {PROBLEM}
                WHEN {_JSON} IS NULL THEN {_not_json()}
                WHEN NOT _is_object THEN 'not a JSON object but ' || {_KIND_OF_VALUE}
                WHEN len({_KEYS}) > {filled} AND len({repeated}) > 0
                    THEN array_to_string({repeated}, ', ') || ' is there more than once'
                END AS {PROBLEM},
            CASE WHEN {PROBLEM} IS NOT NULL THEN {SEEN}
                WHEN {_JSON} IS NULL THEN {_where_unseen()} END AS {SEEN}
        FROM (
            SELECT *,
                CASE WHEN _is_object THEN json_transform({_JSON}, '{{{structure}}}') END AS _fields,
                CASE WHEN _is_object THEN json_keys({_JSON}) END AS {_KEYS}
            FROM (
                SELECT *, coalesce(json_type({_JSON}) = 'OBJECT', false) AS _is_object
                FROM (
                    SELECT position AS {POSITION}, line AS {RAW}, problem AS {PROBLEM},
                        seen AS {SEEN},
                        CASE WHEN problem IS NOT NULL THEN NULL {valid} END AS {_JSON}
                    FROM (SELECT *, {usual} AS _usual FROM {lines})
                    WHERE {_JSON} IS NOT NULL OR regexp_matches(line, {_NOT_BLANK})
                )
            )
        )"""


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


def _quoted(field: str) -> str:
    return "'" + field.replace("'", "''") + "'"


def _json_string(field: str) -> str:
    return json.dumps(field, ensure_ascii=False).replace("'", "''")
