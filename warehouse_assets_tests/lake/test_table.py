"""How a table is made, opened and grows, and that a damaged one names the file and what to do."""

import pytest
from deltalake import DeltaTable

from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake, Written
from warehouse_assets_tests.lake.tables import KINDS, MAX, PETS, REX, TOM, Stored, with_column

_MADE_FROM = {
    "archive": (
        {"posts", "votes", "trips"},
        "the next run makes the table again from the archive.",
    ),
    "source": ({"students", "batches", "reviews"}, "rows that the source no longer has are lost."),
    "log": ({"test_runs", "deliveries"}, "lines that are in none of them are lost."),
    "rejects": ({"rejected_records"}, "rejected records of other sources are lost."),
}


@pytest.fixture
def grown(lake: Lake) -> Stored:
    """A table with a row that is older than its column `colour`."""
    Stored(lake, PETS).append([REX])
    return Stored(lake, with_column(PETS, "colour"))


def test_a_table_is_made_when_it_is_opened(pets: Stored) -> None:
    assert not pets.table.exists()
    assert pets.rows() == []
    assert not pets.table.exists()
    assert pets.version() == 0
    assert pets.table.exists()


def test_a_damaged_entry_of_the_log_is_named(pets: Stored) -> None:
    for rows in ([REX], [TOM], [MAX]):
        pets.merge(rows)
    log = pets.table.path / "_delta_log"
    for version in range(4):
        entry = log / f"{version:020}.json"
        content = entry.read_bytes()
        damages = {content[: len(content) // 2], bytes(len(content)), b'{"add": 3}\n'}
        for damage in (*damages, None):
            if damage is not None:
                entry.write_bytes(damage)
            elif version < 3:  # without an entry after it, nobody could tell
                entry.unlink()
            else:
                continue
            with pytest.raises(LakeError) as raised:
                pets.table.open()
            message = str(raised.value)
            assert message.startswith(
                f"The lake table pets cannot be opened: the entry {entry} is "
            )
            assert "\n" not in message
            entry.write_bytes(content)
    # As after a power cut; Delta would go back to the rows before it.
    entry.write_bytes(b"")
    with pytest.raises(LakeError, match=f"{entry} is empty"):
        pets.rows()


def test_a_damaged_checkpoint_is_named(pets: Stored) -> None:
    pets.append([REX])
    DeltaTable(str(pets.table.path)).create_checkpoint()
    checkpoint = pets.table.path / "_delta_log" / f"{1:020}.checkpoint.parquet"
    content = checkpoint.read_bytes()
    for damage in (content[: len(content) // 2], b"", bytes(len(content)), None):
        if damage is None:
            checkpoint.unlink()
        else:
            checkpoint.write_bytes(damage)
        with pytest.raises(LakeError, match=f"the checkpoint {checkpoint} is (cut|missing)"):
            pets.table.open()


def test_what_to_do_depends_on_what_a_table_is_made_from(lake: Lake) -> None:
    for declaration in TABLES:
        table = lake.table(declaration)
        log = table.path / "_delta_log"
        log.mkdir(parents=True)
        (log / f"{0:020}.json").write_text('{"commitIn')
        with pytest.raises(LakeError) as raised:
            table.open()
        message = str(raised.value)
        ends = [end for names, end in _MADE_FROM.values() if table.name in names]
        assert message.endswith(ends[0] if ends else "the next run computes the table again.")
        assert f"the folder {table.path}" in message.replace("Delete", "delete")


@pytest.mark.parametrize("content", [None, b"not parquet at all, though long enough"])
def test_a_lost_or_damaged_data_file_is_explained(pets: Stored, content: bytes | None) -> None:
    pets.append([REX])
    (name,) = pets.registered()
    path = pets.table.path / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    for look in (pets.rows, lambda: check_readable(pets)):
        with pytest.raises(LakeError, match=r"pets cannot be read: .*Delete the folder"):
            look()


def check_readable(stored: Stored) -> None:
    with stored.lake.connect() as connection:
        stored.table.check_readable(connection, stored.table.open_existing())


@pytest.mark.parametrize("name", ["lake", "lake/pets"])
def test_a_file_in_place_of_the_lake_or_a_table_is_explained(lake: Lake, name: str) -> None:
    file = lake.folder.parent / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    with pytest.raises(LakeError, match=r"(?s)pets.*LAKE_URI"):
        lake.table(PETS).open()


def test_names_added_since_a_version_are_known_until_others_are_removed(pets: Stored) -> None:
    pets.append([REX])
    seen = pets.version()
    pets.append([TOM])
    handle = pets.table.open()

    added = pets.table.names_added(handle, seen)
    assert added is not None
    assert len(added) == 1
    assert pets.table.names_added(handle, handle.version()) == []
    assert pets.table.names_added(handle, handle.version() + 1) is None
    handle.optimize.compact()
    assert pets.table.names_added(pets.table.open(), seen) is None


def test_old_rows_are_null_in_a_new_column_which_is_merged_and_replaced(
    grown: Stored, either_way: str
) -> None:
    assert grown.rows() == [(*REX, None)]
    assert grown.version() == grown.version() == 2  # it is added once
    assert grown.merge([(*REX, None)]).rows_changed == 0
    grown.append([(*TOM, "grey")])
    assert grown.rows() == [(*REX, None), (*TOM, "grey")]
    grown.merge([(*REX, "brown"), (*TOM, "grey")])
    assert grown.rows() == [(*REX, "brown"), (*TOM, "grey")]
    assert grown.replace([(*REX, "brown"), (*TOM, "grey")]) == Written()
    grown.replace([(*REX, "black")])
    assert grown.rows() == [(*REX, "black")]


def test_a_release_that_does_not_know_the_column_still_reads_and_appends(
    lake: Lake, grown: Stored
) -> None:
    grown.append([(*TOM, "grey")])
    older = Stored(lake, PETS)
    assert older.rows() == [REX, TOM]
    older.append([(3, "Ada", 9.0, 1)])
    assert grown.rows() == [(*REX, None), (*TOM, "grey"), (3, "Ada", 9.0, 1, None)]


def test_the_columns_have_the_declared_types_also_without_rows(lake: Lake) -> None:
    kinds = Stored(lake, KINDS)
    for rows in ([], [(1, None, None, None, None, None, None)]):
        kinds.append(rows)
        with lake.connect() as connection:
            lake.view_newest(connection, KINDS)
            types = [str(kind) for kind in connection.sql("FROM kinds").types]
        assert types == ["BIGINT", "BIGINT", "BOOLEAN", "DOUBLE", "TIMESTAMP", "DATE", "VARCHAR"]
