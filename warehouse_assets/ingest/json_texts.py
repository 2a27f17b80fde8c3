"""Records of JSON as a relation of texts: what the validator judges.

A field that is an array or an object is text, its JSON. A record in which one of the wanted fields
is there more than once is rejected: which of the values is meant is not guessed.
"""

import json
from collections.abc import Sequence

import duckdb

from warehouse_assets.ingest.unknown_fields import known_fields, note_fields_of
from warehouse_assets.ingest.validate import PROBLEM, RAW, SEEN, Validator, text

JSON = "_json"
"""Column of records: the JSON to be read, or null where the record is none."""

KEYS = "_keys"
"""Column of texts: the names of the fields of the record, a list, or null."""

_KIND_OF_VALUE = f"""CASE json_type({JSON}) WHEN 'ARRAY' THEN 'an array'
    WHEN 'VARCHAR' THEN 'a string' WHEN 'BOOLEAN' THEN 'true or false' WHEN 'NULL' THEN 'null'
    ELSE 'a number' END"""
_UNSEEN = ((0, "a NUL byte"), (0xFEFF, "a byte-order mark"))


def judge_json(
    connection: duckdb.DuckDBPyConnection, validator: Validator, records: str, arrival: int = 0
) -> int:
    """Add records to the tables `STAGED` or `REJECTED`, and note their fields.

    Returns how many were good.

    Args:
        records: SQL for them, with the columns `POSITION`, `RAW`, `JSON`, `PROBLEM` and `SEEN`.
        arrival: the number under which they came.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE _texts AS {json_texts(validator.fields, records)}"
    )
    note_fields_of(
        connection,
        f"(SELECT CAST($arrival AS BIGINT) AS arrival, {KEYS} AS fields FROM _texts)",
        known_fields(validator.table) | {*validator.fields},
        {"arrival": arrival},
    )
    good = validator.judge(connection, "FROM _texts", arrival)
    connection.execute("DROP TABLE _texts")
    return good


def json_texts(fields: Sequence[str], records: str) -> str:
    """SQL for the texts of `fields` in `records`, beside their columns, and `KEYS`.

    `PROBLEM` and `SEEN` say of what is no JSON object, or has a field twice, what it is.
    """
    structure = ", ".join(f'{_json_string(field)}: "VARCHAR"' for field in fields)
    values = {field: f"struct_extract(_fields, {_quoted(field)})" for field in fields}
    texts = ", ".join(f"{value} AS {text(field)}" for field, value in values.items())
    # What has no more names than values has none twice.
    filled = " + ".join(f"CAST({value} IS NOT NULL AS INTEGER)" for value in values.values())
    repeated = f"""list_filter([{", ".join(map(_quoted, fields))}], lambda field:
        len(list_filter({KEYS}, lambda key: key = field)) > 1)"""
    return f"""SELECT * EXCLUDE (_is_object, _fields) REPLACE (
            CASE WHEN {PROBLEM} IS NOT NULL THEN {PROBLEM}
                WHEN {JSON} IS NULL THEN {_not_json()}
                WHEN NOT _is_object THEN 'not a JSON object but ' || {_KIND_OF_VALUE}
                WHEN len({KEYS}) > {filled} AND len({repeated}) > 0
                    THEN array_to_string({repeated}, ', ') || ' is there more than once'
                END AS {PROBLEM},
            CASE WHEN {PROBLEM} IS NOT NULL THEN {SEEN}
                WHEN {JSON} IS NULL THEN {_where_unseen()} END AS {SEEN}
        ), {texts}
        FROM (
            SELECT *,
                CASE WHEN _is_object THEN json_transform({JSON}, '{{{structure}}}') END AS _fields,
                CASE WHEN _is_object THEN json_keys({JSON}) END AS {KEYS}
            FROM (
                SELECT *, coalesce(json_type({JSON}) = 'OBJECT', false) AS _is_object
                FROM ({records})
            )
        )"""


def _not_json() -> str:
    """SQL for why a text that is not JSON is none: what cannot be seen in it is named."""
    cases = " ".join(
        f"WHEN contains({RAW}, chr({code})) THEN 'not valid JSON: it has {name}'"
        for code, name in _UNSEEN
    )
    return f"""CASE {cases}
        WHEN {RAW} LIKE '%,' AND json_valid(rtrim({RAW}, ','))
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
