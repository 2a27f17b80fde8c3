"""A family that comes from a table of a SQL database is a declaration, and nothing else."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import URL, BigInteger, Column, Date, DateTime, Double, MetaData, Table, Text

from warehouse_assets.ingest.sql_reader import SqlSource
from warehouse_assets.ingest.validate import Rule, Validator, text
from warehouse_assets.orchestration.assets import sql_source_asset
from warehouse_assets.orchestration.resources import build_resources
from warehouse_assets.settings import Settings
from warehouse_assets_tests.ingest.stored import rejected, stored


def _field(name: str, kind: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, info={"field": name}, comment=f"The {name}.", **options)


ORDERS = Table(
    "orders",
    MetaData(),
    _field("id", BigInteger, primary_key=True, autoincrement=False),
    _field("customer", Text, nullable=False),
    _field("amount", Double),
    _field("due", Date),
    _field("ordered_at", DateTime),
    comment="Orders of customers.",
)
SOURCE = SqlSource(
    Validator(ORDERS, rules=[Rule("amount < 0", "amount is negative", text("amount"))]),
    "ORDERS_URL",
    lambda settings: URL.create("sqlite", database=str(settings.home / "orders.db")),
)
ASSET = sql_source_asset(SOURCE)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)})


def write(settings: Settings, columns: str, *rows: tuple[object, ...]) -> None:
    path = settings.home / "orders.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE Orders ({columns})")
        marks = ", ".join("?" for _ in rows[0])
        database.executemany(f"INSERT INTO orders VALUES ({marks})", rows)


def test_a_declared_table_is_loaded_checked_and_published(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    write(
        settings,
        "id, Customer, amount, due, colour",
        (1, " Ann ", 2.5, "2026-11-30", "red"),
        (2, "Bob", None, None, "red"),
        (3, "Cid", "much", "soon", "red"),
        (4, " ", -1, None, "red"),
    )
    resources = build_resources(settings)
    result = dg.materialize([ASSET.definition], instance=instance, resources=resources)

    (event,) = result.asset_materializations_for_node("orders")
    assert event.metadata["records_taken"].value == 2
    assert event.metadata["records_rejected"].value == 2
    assert event.metadata["unknown_fields"].value == ["colour"]
    lake = resources["lake"]
    assert stored(lake, ORDERS, "id, customer, amount, CAST(due AS TEXT), ordered_at") == [
        (1, "Ann", 2.5, "2026-11-30", None),
        (2, "Bob", None, None, None),
    ]
    assert rejected(lake, "position, reason, raw") == [
        (
            3,
            "amount is not a number; due is not a date: much; soon",
            '{"id":3,"customer":"Cid","amount":"much","due":"soon"}',
        ),
        (
            4,
            "customer is missing; amount is negative: -1",
            '{"id":4,"customer":" ","amount":-1,"due":null}',
        ),
    ]
    with closing(sqlite3.connect(settings.home / "warehouse.db")) as warehouse:
        assert warehouse.execute("SELECT id, amount FROM orders ORDER BY id").fetchall() == [
            (1, 2.5),
            (2, None),
        ]

    write(settings, "id, customer, ordered_at", (2, "Bea", "2026-11-30T12:00:00+01:00"))
    assert dg.materialize([ASSET.definition], instance=instance, resources=resources).success
    assert stored(lake, ORDERS, "id, customer, CAST(ordered_at AS TEXT)") == [
        (1, "Ann", None),
        (2, "Bea", "2026-11-30 11:00:00"),
    ]
