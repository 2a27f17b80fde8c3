from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import WarehouseError
from warehouse_assets.lake import Lake, append
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets.warehouse import Published, Warehouse, publish, warehouse_at
from warehouse_assets.warehouse.writer import Writer
from warehouse_assets_tests.lake.tables import KINDS, PETS, TAGS, VISITS, Row, Stored
from warehouse_assets_tests.warehouse.copies import indexes, publish_to, query

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)
ADA = (3, "Ada", None, 2)


@pytest.mark.parametrize("most", [100_000, 0], ids=["by Delta", "by DuckDB"])
def test_a_table_is_written_whole_once_and_then_only_what_changed(
    pets: Stored, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", most)
    thinner, max_ = (1, "Rex", 29.0, 2), (1, "Max", 30.5, 1)
    steps: list[tuple[list[list[Row]], Published]] = [
        ([[]], Published(0, 0, is_whole=True)),
        ([[TOM, REX]], Published(2, 0)),
        ([[TOM, REX, ADA]], Published(1, 0)),
        ([[thinner, ADA]], Published(1, 1)),
        # What came and went between two publishings is not written, what came back is there.
        ([[thinner, ADA, TOM], [max_, ADA], [thinner, ADA]], Published(0, 0)),
        ([[ADA], [max_, ADA]], Published(1, 0)),
        ([[max_, ADA]], Published(0, 0)),
    ]
    for versions, published in steps:
        for rows in versions:
            pets.replace(rows)
        assert publish_to(warehouse, pets) == published
        assert query(warehouse, "SELECT * FROM pets ORDER BY id") == sorted(versions[-1])
    pets.append([], {"file/a": 1})  # a version without changes moves only the note
    assert publish_to(warehouse, pets) == Published(0, 0)
    note = "SELECT table_name, version FROM _published"
    assert query(warehouse, note) == [("pets", pets.version())]


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


def test_tables_are_published_each_for_itself_and_may_be_all_key(
    lake: Lake, warehouse: Warehouse
) -> None:
    pets, tags = Stored(lake, PETS), Stored(lake, TAGS)
    pets.append([REX])
    tags.replace([(1, "old"), (2, "new")])
    publish_to(warehouse, pets)
    publish_to(warehouse, tags)
    pets.append([TOM])
    tags.replace([(1, "old"), (3, "big")])
    assert publish_to(warehouse, tags) == Published(1, 1)
    assert query(warehouse, "SELECT * FROM tags ORDER BY pet") == [(1, "old"), (3, "big")]
    assert query(warehouse, "SELECT count(*) FROM pets") == [(1,)]


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


def test_indexes_and_the_meaning_of_every_column_are_in_the_database(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.append([REX])
    for _ in range(2):
        assert publish(pets.lake, warehouse, pets.table, whole=True).is_whole
        assert "ix_pets_weight" in indexes(warehouse, "pets")
    assert {index.name for index in PETS.indexes} == {"ix_pets_weight"}
    assert query(warehouse, "SELECT * FROM _columns ORDER BY column_name") == [
        ("pets", "arrival", "With which file it came."),
        ("pets", "id", "Number of the pet."),
        ("pets", "name", "What it listens to."),
        ("pets", "weight", "In kilograms."),
    ]


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


@pytest.mark.parametrize(("added", "named"), [((TOM, TOM), "id"), ([(2, None, 1.0, 1)], "name")])
def test_rows_that_contradict_the_declaration_are_refused_and_the_old_ones_stay(
    lake: Lake, warehouse: Warehouse, added: Sequence[Row], named: str
) -> None:
    strict = PETS.to_metadata(sa.MetaData())
    strict.c.name.nullable = False
    pets = Stored(lake, strict)
    pets.append([REX])
    publish_to(warehouse, pets)
    pets.append(added)
    with pytest.raises(WarehouseError, match=rf"\b{named}\b.*contradict the declaration"):
        publish(pets.lake, warehouse, pets.table, whole=True)
    assert query(warehouse, "SELECT * FROM pets") == [REX]
    assert query(warehouse, "SELECT version FROM _published") == [(1,)]


def test_a_database_in_a_folder_that_does_not_exist_is_made(pets: Stored, tmp_path: Path) -> None:
    warehouse = warehouse_at(f"sqlite:///{tmp_path}/a/b/warehouse.db")
    pets.append([REX])
    publish_to(warehouse, pets)
    assert query(warehouse, "SELECT * FROM pets") == [REX]


def test_every_table_is_as_it_is_declared_once_it_is_published(
    lake: Lake, warehouse: Warehouse
) -> None:
    for declaration in TABLES:
        publish(lake, warehouse, lake.table(declaration))
        with warehouse.read() as connection:
            assert Writer(connection, declaration).is_as_declared(), declaration.name
