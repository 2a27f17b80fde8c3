from datetime import date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import WarehouseError
from warehouse_assets.lake import Lake, append, commit
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets.warehouse import Published, Warehouse, publish
from warehouse_assets.warehouse.writer import Writer
from warehouse_assets_tests.lake.tables import KINDS, PETS, TAGS, VISITS, Stored
from warehouse_assets_tests.warehouse.copies import indexes, publish_to, query

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)
ADA = (3, "Ada", None, 2)


def test_the_first_time_a_table_is_written_whole(pets: Stored, warehouse: Warehouse) -> None:
    pets.append([TOM, REX])
    assert publish_to(warehouse, pets) == Published(2, 0, is_whole=True)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [REX, TOM]


def test_a_table_without_rows_is_published_empty(pets: Stored, warehouse: Warehouse) -> None:
    assert publish_to(warehouse, pets) == Published(0, 0, is_whole=True)
    assert query(warehouse, "SELECT * FROM pets") == []


def test_what_is_new_is_added(pets: Stored, warehouse: Warehouse) -> None:
    pets.append([REX])
    publish_to(warehouse, pets)
    pets.append([TOM])
    pets.append([ADA])
    assert publish_to(warehouse, pets) == Published(2, 0)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [REX, TOM, ADA]


@pytest.mark.parametrize("most", [100_000, 0], ids=["by Delta", "by DuckDB"])
def test_only_what_changed_is_written(
    pets: Stored, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(commit, "MOST_ROWS_FOR_DELTA_MERGE", most)
    pets.append([REX, TOM, (9, "same", 1.0, 1)])
    publish_to(warehouse, pets)
    thinner = (1, "Rex", 29.0, 2)
    pets.replace([thinner, ADA, (9, "same", 1.0, 1)])
    assert publish_to(warehouse, pets) == Published(2, 1)
    rows = query(warehouse, "SELECT * FROM pets ORDER BY id")
    assert rows == [thinner, ADA, (9, "same", 1.0, 1)]


def test_what_came_and_went_between_two_publishings_is_not_written(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.replace([REX])
    publish_to(warehouse, pets)
    pets.replace([REX, TOM])
    pets.replace([(1, "Max", 30.5, 1)])
    pets.replace([REX])
    assert publish_to(warehouse, pets) == Published(0, 0)
    assert query(warehouse, "SELECT * FROM pets") == [REX]


def test_what_went_and_came_back_is_there(pets: Stored, warehouse: Warehouse) -> None:
    pets.replace([REX, TOM])
    publish_to(warehouse, pets)
    pets.replace([TOM])
    pets.replace([(1, "Max", 1.0, 2), TOM])
    assert publish_to(warehouse, pets) == Published(1, 0)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [(1, "Max", 1.0, 2), TOM]


def test_a_publishing_with_nothing_new_changes_nothing_in_the_file(
    pets: Stored, sqlite_warehouse: Warehouse
) -> None:
    warehouse = sqlite_warehouse
    pets.append([REX])
    publish_to(warehouse, pets)
    before, moment = warehouse.path.read_bytes(), warehouse.path.stat().st_mtime_ns
    assert publish_to(warehouse, pets) == Published(0, 0, is_whole=False)
    assert warehouse.path.read_bytes() == before
    assert warehouse.path.stat().st_mtime_ns == moment


def test_a_version_without_changes_moves_only_the_note(pets: Stored, warehouse: Warehouse) -> None:
    pets.append([REX])
    publish_to(warehouse, pets)
    pets.append([], {"file/a": 1})
    assert publish_to(warehouse, pets) == Published(0, 0)
    assert query(warehouse, "SELECT table_name, version FROM _published") == [("pets", 2)]


def test_tables_are_published_each_for_itself(lake: Lake, warehouse: Warehouse) -> None:
    pets, tags = Stored(lake, PETS), Stored(lake, TAGS)
    pets.append([REX])
    tags.append([(1, "old")])
    publish_to(warehouse, pets)
    publish_to(warehouse, tags)
    pets.append([TOM])
    assert publish_to(warehouse, tags) == Published(0, 0)
    assert query(warehouse, "SELECT count(*) FROM pets") == [(1,)]


def test_a_table_that_is_all_key_gains_and_loses_rows(lake: Lake, warehouse: Warehouse) -> None:
    tags = Stored(lake, TAGS)
    tags.replace([(1, "old"), (2, "new")])
    publish_to(warehouse, tags)
    tags.replace([(1, "old"), (3, "big")])
    assert publish_to(warehouse, tags) == Published(1, 1)
    assert query(warehouse, "SELECT * FROM tags ORDER BY pet") == [(1, "old"), (3, "big")]


@pytest.mark.parametrize("order", [("vet", "day"), ("day", "vet")])
def test_rows_are_deleted_by_all_columns_of_their_key_in_whatever_order(
    lake: Lake, warehouse: Warehouse, order: tuple[str, str]
) -> None:
    declaration = sa.Table(
        "visits",
        sa.MetaData(),
        *(sa.Column(c.name, c.type, comment=c.comment) for c in VISITS.columns),
        sa.PrimaryKeyConstraint(*order),
        comment="Visits.",
    )
    visits = Stored(lake, declaration)
    monday, tuesday = date(2024, 1, 1), date(2024, 1, 2)
    visits.replace([("Kim", monday, 1), ("Kim", tuesday, 2), ("Lee", monday, 3)])
    publish_to(warehouse, visits)
    visits.replace([("Kim", tuesday, 5), ("Lee", monday, 3)])
    assert publish_to(warehouse, visits) == Published(1, 1)
    rows = query(warehouse, "SELECT vet, CAST(day AS TEXT), patients FROM visits ORDER BY vet")
    assert rows == [("Kim", "2024-01-02", 5), ("Lee", "2024-01-01", 3)]


def test_values_are_stored_so_that_they_sort_and_are_read_back_as_they_were(
    lake: Lake, warehouse: Warehouse
) -> None:
    kinds = Stored(lake, KINDS)
    rows = [
        (
            1,
            2**63 - 1,
            True,
            0.1,
            datetime.fromisoformat("2022-03-27T02:30:00"),
            date(2022, 3, 27),
            "a\x00b",
        ),
        (
            2,
            -1,
            False,
            -1e300,
            datetime.fromisoformat("0999-01-02T03:04:05.000006"),
            date(999, 1, 2),
            "😀 'it''s'",
        ),
        (3, None, None, None, None, None, None),
    ]
    kinds.append(rows[:1])
    publish_to(warehouse, kinds)
    kinds.append(rows[1:])
    publish_to(warehouse, kinds)
    with warehouse.read() as connection:
        read = [tuple(row) for row in connection.execute(sa.select(KINDS).order_by(KINDS.c.id))]
        by_time = sa.select(KINDS.c.id).where(KINDS.c.moment.is_not(None))
        in_time = connection.scalars(by_time.order_by(KINDS.c.moment)).all()
    if not warehouse.is_sqlite:  # it has no NUL
        rows[0] = (*rows[0][:-1], "a\ufffdb")
    assert read == rows
    assert in_time == [2, 1]


def test_sqlite_has_dates_and_times_as_text_that_sorts(
    lake: Lake, sqlite_warehouse: Warehouse
) -> None:
    kinds = Stored(lake, KINDS)
    late, early = (
        datetime.fromisoformat(text)
        for text in ("2022-03-27T02:30:00", "0999-01-02T03:04:05.000006")
    )
    for number, moment in enumerate((late, early)):
        kinds.append([(number, 1, number == 0, 1.0, moment, moment.date(), "")])
    publish_to(sqlite_warehouse, kinds)
    assert query(sqlite_warehouse, "SELECT moment, day, truth FROM kinds ORDER BY id") == [
        ("2022-03-27 02:30:00.000000", "2022-03-27", 1),
        ("0999-01-02 03:04:05.000006", "0999-01-02", 0),
    ]


def test_the_meaning_of_every_column_is_in_the_database(pets: Stored, warehouse: Warehouse) -> None:
    pets.append([REX])
    publish_to(warehouse, pets)
    publish(pets.lake, warehouse, pets.table, whole=True)
    assert query(warehouse, "SELECT * FROM _columns ORDER BY column_name") == [
        ("pets", "arrival", "With which file it came."),
        ("pets", "id", "Number of the pet."),
        ("pets", "name", "What it listens to."),
        ("pets", "weight", "In kilograms."),
    ]


def test_indexes_are_there_however_often_a_table_is_written_whole(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.append([REX])
    for _ in range(3):
        assert publish(pets.lake, warehouse, pets.table, whole=True).is_whole
        assert "ix_pets_weight" in indexes(warehouse, "pets")
    assert {index.name for index in PETS.indexes} == {"ix_pets_weight"}


def test_many_rows_are_told_of_as_they_are_written(pets: Stored, warehouse: Warehouse) -> None:
    rows = (
        "SELECT {} AS id, repeat('x', 50) AS name, NULL AS weight, 1 AS arrival FROM range(60000)"
    )
    for first, is_whole in ((0, True), (60_000, False)):
        with pets.lake.connect() as engine:
            more = rows.format(f"{first} + range")
            append(engine, pets.table, pets.table.open(), more, {})
        told: list[Progress] = []
        with heard_by(report=told.append):
            assert publish(pets.lake, warehouse, pets.table).is_whole == is_whole
        done = [progress.done for progress in told]
        assert done == sorted(done)
        assert len(done) > 1
        assert told[-1] == Progress("pets", "publishing", 60_000, 60_000, "rows")


def test_rows_that_contradict_the_declaration_are_refused_and_the_old_ones_stay(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.append([REX])
    publish_to(warehouse, pets)
    pets.append([TOM, TOM])
    with pytest.raises(WarehouseError, match=r"\bid\b.*contradict the declaration"):
        publish(pets.lake, warehouse, pets.table, whole=True)
    assert query(warehouse, "SELECT * FROM pets") == [REX]
    assert query(warehouse, "SELECT version FROM _published") == [(1,)]


def test_a_null_where_none_may_be_is_refused(lake: Lake, warehouse: Warehouse) -> None:
    strict = PETS.to_metadata(sa.MetaData())
    strict.c.name.nullable = False
    pets = Stored(lake, strict)
    pets.append([REX])
    publish_to(warehouse, pets)
    pets.append([(2, None, 1.0, 1)])
    with pytest.raises(WarehouseError, match=r"\bname\b.*contradict the declaration"):
        publish_to(warehouse, pets)
    assert query(warehouse, "SELECT * FROM pets") == [REX]


def test_a_database_in_a_folder_that_does_not_exist_is_made(pets: Stored, tmp_path: Path) -> None:
    warehouse = Warehouse(f"sqlite:///{tmp_path}/a/b/warehouse.db")
    pets.append([REX])
    publish_to(warehouse, pets)
    assert query(warehouse, "SELECT * FROM pets") == [REX]


@pytest.mark.parametrize("declaration", TABLES, ids=str)
def test_every_table_is_as_it_is_declared_once_it_is_published(
    lake: Lake, warehouse: Warehouse, declaration: sa.Table
) -> None:
    table = lake.table(declaration)
    publish(lake, warehouse, table)

    with warehouse.read() as connection:
        assert Writer(connection, declaration).is_as_declared()
