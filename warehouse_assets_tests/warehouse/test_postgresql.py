"""Transactions of a warehouse on PostgreSQL, and what it says when something is wrong."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from warehouse_assets.errors import (
    BusyError,
    ConflictError,
    WarehouseAssetsError,
    WarehouseError,
)
from warehouse_assets.progress import heard_by
from warehouse_assets.warehouse import Warehouse, warehouse_at
from warehouse_assets.warehouse.postgresql import explanation
from warehouse_assets_tests.postgres import execute
from warehouse_assets_tests.warehouse.copies import query, url_of

_CATS = "CREATE TABLE cats AS SELECT 'Tom' AS name"


@pytest.fixture
def warehouse(emptied_warehouse: Warehouse) -> Warehouse:
    """These are the ways of PostgreSQL."""
    return emptied_warehouse


@pytest.fixture
def own_cats(postgresql_warehouse: Warehouse) -> Warehouse:
    """One table of one row in a new database, for tests that leave more behind than tables."""
    execute(url_of(postgresql_warehouse), _CATS)
    return postgresql_warehouse


def write_one(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.exec_driver_sql("INSERT INTO cats VALUES ('Ada')")


def read_all(warehouse: Warehouse) -> list[str]:
    with warehouse.read() as connection:
        return list(connection.scalars(sa.text("SELECT name FROM cats ORDER BY name")))


def at(url: sa.URL) -> Warehouse:
    """The warehouse at `url`."""
    return warehouse_at(url.render_as_string(hide_password=False))


def test_a_reader_sees_one_state_and_cannot_write(cats: Warehouse) -> None:
    with cats.read() as connection:
        count = sa.text("SELECT count(*) FROM cats")
        assert connection.scalar(count) == 1
        write_one(cats)
        assert connection.scalar(count) == 1
    with pytest.raises(WarehouseError, match="read-only transaction"), cats.read() as connection:
        connection.exec_driver_sql("DELETE FROM cats")


def end_all_connections(warehouse: Warehouse) -> None:
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    execute(
        url_of(warehouse), f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
    )


def test_a_server_that_closed_the_connections_meanwhile_is_asked_anew(cats: Warehouse) -> None:
    read_all(cats)
    end_all_connections(cats)
    assert read_all(cats) == ["Tom"]


def test_a_connection_that_ends_in_mid_writing_is_worth_another_try(cats: Warehouse) -> None:
    def write_and_be_ended() -> None:
        with cats.write() as connection:
            connection.exec_driver_sql("INSERT INTO cats VALUES ('Kim')")
            end_all_connections(cats)
            connection.exec_driver_sql("INSERT INTO cats VALUES ('Ada')")

    with pytest.raises(BusyError, match=r"terminat|closed|gone"):
        write_and_be_ended()
    write_one(cats)
    assert read_all(cats) == ["Ada", "Tom"]


def test_what_the_server_does_not_know_is_named(cats: Warehouse) -> None:
    for url in (cats.url.set(database="nowhere"), cats.url.set(username="nowhere")):
        with pytest.raises(BusyError, match=r'"nowhere" does not exist.*WAREHOUSE_URL'):
            read_all(at(url))


def test_what_cannot_be_reached_is_explained_without_the_password() -> None:
    away = warehouse_at("postgresql://me:secret@127.0.0.1:1/db")
    odd = warehouse_at("postgresql://me:secret@127.0.0.1:1/db?colour=red")
    for act in (write_one, read_all):
        with pytest.raises(BusyError, match=r"[Rr]efused.*Check.*WAREHOUSE_URL") as worth_a_retry:
            act(away)
        with pytest.raises(WarehouseError, match=r"invalid.*WAREHOUSE_URL") as permanent:
            act(odd)
        for raised in (worth_a_retry, permanent):
            assert "secret" not in str(raised.value)
            assert "me:***@127.0.0.1" in str(raised.value)


def test_what_a_server_grants_to_users_sessions_and_schemas(own_cats: Warehouse) -> None:
    url, database = url_of(own_cats), own_cats.url.database
    role = f"analyst_of_{database}"
    execute(url, f"CREATE ROLE {role} LOGIN", "CREATE SCHEMA other")
    for act in (write_one, read_all):
        with pytest.raises(WarehouseError, match=r"permission denied.*cats.*has to be allowed"):
            act(at(own_cats.url.set(username=role)))

    in_other = warehouse_at(f"{url}&options=-csearch_path%3Dother")
    told: list[str] = []
    with heard_by(told.append), own_cats.write(), in_other.write():
        assert told == []  # writers of different schemas do not wait for each other

    for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
        execute(url, f"ALTER DATABASE {database} SET {limit} = '1s'")
    with warehouse_at(url).write() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(1.1)")

    execute(url, f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with pytest.raises(WarehouseError, match=r"read-only transaction.*standby"):
        write_one(warehouse_at(url))


class _SaidError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__("what the server said")
        self.pgcode = code


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("08006", BusyError, "run again"),
        ("22P05", WarehouseError, "encoding UTF8"),
        ("28P01", WarehouseError, "lets this user in"),
        ("3D000", WarehouseError, "has the database"),
        ("40001", ConflictError, "came first"),
        ("40P01", ConflictError, "run again"),
        ("53100", BusyError, "Free space"),
        ("53300", BusyError, "connections"),
        ("55P03", BusyError, "Another program holds it"),
        ("57P01", BusyError, "Nothing is half done"),
        ("XX000", WarehouseError, "Nothing was changed"),
    ],
)
def test_codes_of_the_server_tell_what_helps(
    code: str, kind: type[WarehouseAssetsError], words: str
) -> None:
    error = OperationalError("SELECT 1", {}, _SaidError(code))
    said = explanation(error, warehouse_at("postgresql://me@host/db"))
    assert type(said) is kind
    assert str(said).startswith("The warehouse postgresql://me@host/db: what the server said. ")
    assert words in str(said)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in str(warehouse_at("postgresql://me:secret@host/db"))


def test_maintaining_brings_statistics_up_to_date_and_tolerates_a_locked_table(
    cats: Warehouse,
) -> None:
    cats.maintain()
    estimate = "SELECT reltuples FROM pg_class WHERE relname = 'cats'"
    assert query(cats, estimate) == [(1.0,)]
    with cats.write() as connection:
        connection.exec_driver_sql("LOCK TABLE cats")
        cats.maintain()
