"""What publishing to PostgreSQL does beside what both databases do."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from random import Random

import duckdb
import pytest
import sqlalchemy as sa

from warehouse_assets.errors import WarehouseError
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets.warehouse import Published, Warehouse, publish, warehouse_at, withdraw
from warehouse_assets.warehouse.rows import Rows
from warehouse_assets_tests.lake.tables import KINDS, PETS, REX, TAGS, TOM, Row, Stored, with_column
from warehouse_assets_tests.postgres import execute
from warehouse_assets_tests.warehouse.copies import contents, publish_to, query, tables, url_of

TEXTS = ["", "NULL", "\\N", "\\.", "a\n\\.\nb", '"', ",", "a,b\r\n", "\t", " x ", "'", "é😀", "\\"]


@pytest.fixture
def warehouse(emptied_warehouse: Warehouse) -> Warehouse:
    """These tests are of PostgreSQL only."""
    return emptied_warehouse


def publish_whole(warehouse: Warehouse, stored: Stored) -> Published:
    return publish(stored.lake, warehouse, stored.table, whole=True)


@contextmanager
def listening(warehouse: Warehouse) -> Iterator[list[tuple[str, str]]]:
    """What is told on the channel of publishings meanwhile, read when the block ends."""
    heard: list[tuple[str, str]] = []
    url = warehouse.url.set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("LISTEN warehouse_published")
        yield heard
        connection.exec_driver_sql("SELECT 1")
        driver = connection.connection.driver_connection
        assert driver is not None
        heard += [(notice.channel, notice.payload) for notice in driver.notifies]


def test_types_are_those_of_postgresql(lake: Lake, warehouse: Warehouse) -> None:
    publish_to(warehouse, Stored(lake, KINDS))
    types = (
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = 'kinds'::regclass AND attnum > 0"
    )
    assert dict(query(warehouse, types)) == {
        "id": "bigint",
        "whole": "bigint",
        "truth": "boolean",
        "share": "double precision",
        "moment": "timestamp without time zone",
        "day": "date",
        "words": "text",
    }
    assert query(warehouse, "SELECT count(*) FROM pg_sequences") == [(0,)]


def test_every_value_arrives_as_it_is_whole_or_as_a_change(
    lake: Lake, warehouse: Warehouse
) -> None:
    kinds = Stored(lake, KINDS)
    moment = datetime.fromisoformat("9999-12-31T23:59:59.999999")
    numbers = [math.inf, -math.inf, 5e-324, 0.1 + 0.2, 1.7976931348623157e308]
    rows: list[Row] = []
    for is_whole in (True, False):
        start = len(rows)
        texts = list(enumerate(TEXTS, start))
        more: list[Row] = [(n, None, None, None, None, None, text) for n, text in texts]
        more += [
            (100 + n, -(2**63), False, x, moment, date(1, 1, 1), None)
            for n, x in enumerate(numbers, start)
        ]
        not_a_number = (200 + start, None, None, math.nan, None, None, None)
        kinds.append([*more, not_a_number])
        rows += more
        assert publish_to(warehouse, kinds).is_whole == is_whole
        found = query(warehouse, "SELECT * FROM kinds ORDER BY id")
        assert [row for row in found if row[0] < 200] == sorted(rows)
        assert all(math.isnan(row[3]) for row in found if row[0] >= 200)


def test_text_in_a_key_arrives_as_it_is_and_sorts_as_in_the_lake_and_in_sqlite(
    lake: Lake, warehouse: Warehouse
) -> None:
    words = sa.Table(
        "words",
        sa.MetaData(),
        sa.Column("word", sa.Text, primary_key=True, comment="A word."),
        comment="Words.",
    )
    stored = Stored(lake, words)
    texts = [*TEXTS, "b", "B", "a", "Z", "é", "_", "10", "9", "a b", "ab"]
    stored.append([(text,) for text in texts])
    publish_to(warehouse, stored)
    in_order = [(text,) for text in sorted(texts, key=str.encode)]
    assert query(warehouse, "SELECT word FROM words ORDER BY word") == in_order


def test_nul_becomes_the_replacement_character_and_is_counted(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.append([(1, "a\x00b\x00", 1.0, 1), TOM])
    assert publish_to(warehouse, pets) == Published(2, 0, is_whole=True, rows_with_nul=1)
    pets.append([(3, "\x00", 1.0, 1)])
    assert publish_to(warehouse, pets) == Published(1, 0, rows_with_nul=1)
    names = [("a\ufffdb\ufffd",), ("Tom",), ("\ufffd",)]
    assert query(warehouse, "SELECT name FROM pets ORDER BY id") == names


def test_of_a_key_too_long_for_an_index_the_server_says_so_and_nothing_changes(
    lake: Lake, warehouse: Warehouse
) -> None:
    tags = Stored(lake, TAGS)
    tags.append([(1, "old")])
    publish_to(warehouse, tags)
    random = Random(1)  # what repeats itself would be packed
    long = "start" + "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9_000))
    tags.append([(2, long)])
    for act in (publish_to, publish_whole):
        with pytest.raises(WarehouseError, match=r"index row requires .*about 2,700 bytes"):
            act(warehouse, tags)
    assert query(warehouse, "SELECT * FROM tags") == [(1, "old")]


def test_descriptions_are_comments_and_follow_the_declaration(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.append([REX])
    publish_to(warehouse, pets)
    described = (
        "SELECT obj_description('pets'::regclass), col_description('pets'::regclass, 3), "
        "obj_description('_published'::regclass)"
    )
    assert query(warehouse, described)[0][:2] == ("Pets.", "In kilograms.")
    later = PETS.to_metadata(sa.MetaData())
    later.comment, later.c.weight.comment = "Our pets.", "In pounds."
    publish_whole(warehouse, Stored(pets.lake, later))
    assert query(warehouse, described)[0][:2] == ("Our pets.", "In pounds.")


def test_what_others_made_of_a_table_outlives_its_being_written_whole(
    pets: Stored, postgresql_warehouse: Warehouse
) -> None:
    warehouse = postgresql_warehouse  # roles are left
    pets.append([REX])
    role = f"analyst_{warehouse.url.database}"
    execute(
        url_of(warehouse),
        f"CREATE ROLE {role} LOGIN",
        "CREATE TABLE pets (id bigint, name varchar)",
        f"GRANT SELECT ON pets TO {role} WITH GRANT OPTION",
        "GRANT UPDATE (name) ON pets TO PUBLIC",
    )
    assert publish_to(warehouse, pets).is_whole  # a table of other columns is replaced
    granted = (
        f"SELECT has_table_privilege('{role}', 'pets', 'SELECT WITH GRANT OPTION'), "
        f"has_column_privilege('{role}', 'pets', 'name', 'UPDATE'), "
        f"has_table_privilege('{role}', 'pets', 'DELETE')"
    )
    assert query(warehouse, granted) == [(True, True, False)]
    execute(
        url_of(warehouse),
        "CREATE VIEW heavy AS SELECT name FROM pets WHERE weight > 10",
        "CREATE INDEX of_mine ON pets (name)",
    )
    before = contents(warehouse)
    publish_whole(warehouse, pets)
    assert contents(warehouse) == before
    grown = Stored(pets.lake, with_column(PETS, "colour"))
    assert publish_to(warehouse, grown).is_whole

    analyst = warehouse.url.set(username=role).render_as_string()
    assert execute(analyst, "SELECT id, colour FROM pets") == [(1, None)]
    assert query(warehouse, "SELECT * FROM heavy") == [("Rex",)]


def test_writing_whole_waits_for_no_reader_and_no_reader_waits(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.append([REX])
    publish_to(warehouse, pets)
    seen: list[int] = []

    def look(_: Progress) -> None:
        with warehouse_at(url_of(warehouse)).read() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
            seen.append(connection.exec_driver_sql("SELECT count(*) FROM pets").scalar_one())

    with warehouse.read() as connection:
        count = sa.text("SELECT count(*) FROM pets")
        assert connection.scalar(count) == 1
        pets.append([TOM])
        impatient = warehouse_at(url_of(warehouse), seconds_to_wait=1)
        with heard_by(report=look):
            publish(pets.lake, impatient, pets.table, whole=True)
        assert connection.scalar(count) == 1
    assert seen == [1]
    assert query(warehouse, "SELECT count(*) FROM pets") == [(2,)]


def test_who_listens_hears_of_each_publishing_that_was_committed(
    pets: Stored, warehouse: Warehouse
) -> None:
    def fail(_: Progress) -> None:
        raise KeyboardInterrupt

    with listening(warehouse) as heard:
        pets.append([REX])
        with pytest.raises(KeyboardInterrupt), heard_by(report=fail):
            publish(pets.lake, warehouse, pets.table)
        publish_to(warehouse, pets)
        publish_to(warehouse, pets)
    assert heard == [("warehouse_published", "pets")]
    with listening(warehouse) as heard:
        withdraw(pets.lake, warehouse, PETS)
    assert heard == [("warehouse_published", "pets")]
    assert query(warehouse, "SELECT * FROM _published") == []


def test_a_query_that_fails_half_way_copies_nothing(lake: Lake, warehouse: Warehouse) -> None:
    numbers = sa.Table("numbers", sa.MetaData(), sa.Column("number", sa.BigInteger))

    def copy_numbers() -> None:
        with warehouse.write() as connection, lake.connect() as engine:
            engine.execute(
                """CREATE VIEW numbers AS
                SELECT CASE WHEN range < 400000 THEN range ELSE error('no more') END AS number
                FROM range(500000)"""
            )
            numbers.create(connection)
            Rows(engine, "numbers", connection, numbers).write_into(numbers)

    with pytest.raises(duckdb.Error, match="no more"):
        copy_numbers()
    assert tables(warehouse) == []
