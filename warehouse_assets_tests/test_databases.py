"""How connections to the databases are opened."""

from pathlib import Path

import sqlalchemy as sa

from warehouse_assets.databases import postgresql_engine
from warehouse_assets.warehouse.sqlite import sqlite_engine
from warehouse_assets_tests.postgres import postgres_url


def test_the_server_shows_whose_a_connection_is_unless_the_url_says_otherwise() -> None:
    url = sa.make_url(postgres_url())
    mine = url.update_query_dict({"application_name": "mine"})
    for at, name in ((url, "warehouse_assets"), (mine, "mine")):
        engine = postgresql_engine(at, poolclass=sa.NullPool)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SHOW application_name")) == name


def test_ddl_of_a_transaction_that_fails_in_sqlite_did_not_happen(tmp_path: Path) -> None:
    engine = sqlite_engine(sa.make_url(f"sqlite:///{tmp_path}/some.db"), 1)
    with engine.connect() as connection:
        with connection.begin() as transaction:
            connection.exec_driver_sql("CREATE TABLE pets (id)")
            transaction.rollback()
        assert not sa.inspect(connection).has_table("pets")
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
