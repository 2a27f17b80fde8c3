import json

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from warehouse_assets.tables import (
    REJECTED_RECORDS,
    WholeNumber,
    column_names,
    delta_schema,
    duckdb_type,
    identifiers,
    key_names,
    value_names,
)

PLACES = sa.Table(
    "places",
    sa.MetaData(),
    sa.Column("name", sa.Text, comment="What it is called."),
    sa.Column("id", WholeNumber, primary_key=True, comment="Its number."),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("area", sa.Double),
    sa.Column("built_at", sa.DateTime),
    sa.Column("zone", sa.Integer, primary_key=True),
    sa.Column("opened_on", sa.Date),
    sa.Column("visitors", sa.BigInteger),
)


def test_each_type_has_one_in_duckdb() -> None:
    assert {column.name: duckdb_type(column) for column in PLACES.columns} == {
        "name": "VARCHAR",
        "id": "BIGINT",
        "is_open": "BOOLEAN",
        "area": "DOUBLE",
        "built_at": "TIMESTAMP",
        "zone": "BIGINT",
        "opened_on": "DATE",
        "visitors": "BIGINT",
    }


def test_each_type_has_one_in_delta_and_every_field_may_be_null() -> None:
    fields = json.loads(delta_schema(PLACES).to_json())["fields"]
    assert [(field["name"], field["type"], field["nullable"]) for field in fields] == [
        ("name", "string", True),
        ("id", "long", True),
        ("is_open", "boolean", True),
        ("area", "double", True),
        ("built_at", "timestamp_ntz", True),
        ("zone", "long", True),
        ("opened_on", "date", True),
        ("visitors", "long", True),
    ]


def test_delta_knows_the_meaning_of_a_column() -> None:
    fields = json.loads(delta_schema(PLACES).to_json())["fields"]
    comments = {field["name"]: field["metadata"]["comment"] for field in fields}
    assert comments["name"] == "What it is called."
    assert comments["is_open"] == ""


def test_a_type_that_the_lake_does_not_have_is_named_with_its_column() -> None:
    table = sa.Table("places", sa.MetaData(), sa.Column("outline", sa.LargeBinary))
    with pytest.raises(TypeError, match=r"places\.outline: the lake has no type for LargeBinary"):
        duckdb_type(table.c.outline)


def test_names_are_in_the_order_of_the_declaration() -> None:
    names = ["name", "id", "is_open", "area", "built_at", "zone", "opened_on", "visitors"]
    assert column_names(PLACES) == names
    assert key_names(PLACES) == ["id", "zone"]
    assert value_names(PLACES) == ["name", "is_open", "area", "built_at", "opened_on", "visitors"]


def test_identifiers_are_quoted_and_prefixed() -> None:
    assert identifiers(["a", "order"]) == '"a", "order"'
    assert identifiers(["a", "order"], "new.") == 'new."a", new."order"'
    assert identifiers([]) == ""


def test_a_whole_number_as_key_is_the_row_number_of_sqlite() -> None:
    assert WholeNumber.compile(sqlite.dialect()) == "INTEGER"


def test_rejected_records_are_known_by_their_place() -> None:
    assert key_names(REJECTED_RECORDS) == ["source", "unit", "position"]
    assert value_names(REJECTED_RECORDS) == ["reason", "value", "raw", "rejected_at"]
