"""A backup made at any moment is whole: restored, each record of its files is there once."""

import json
import random
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import dagster as dg
import pytest

from warehouse_assets.backup import BackedUp, back_up
from warehouse_assets.catalogue import TABLES
from warehouse_assets.definitions import defs
from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.errors import BusyError, ConflictError, GoneError, SettingError
from warehouse_assets.lake import (
    give_label,
    labelled,
    maintain,
    open_at,
    remove_label,
    verify,
)
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.stress.contention import GroupSupplier
from warehouse_assets_tests.stress.tasks import ENVIRONMENT

_KEEP_DAYS = 1  # readers of versions that are a moment old are about
_MOST_SECONDS = 300


@pytest.fixture(scope="module")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a warehouse with three votes taken, and a file that waits."""
    home = tmp_path_factory.mktemp("filled") / "home"
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance)
        house.deliver("votes-1.jsonl", [vote(1, 1), vote(2, 1), {"Id": "x"}])
        take(house)
        house.deliver("votes-2.jsonl", [vote(3, 1)])
        take(house)
        house.deliver("votes-3.jsonl", [vote(3, 2), vote(4, 2)])
    return home


@pytest.fixture
def filled(house: House, filled_home: Path) -> House:
    """A copy of that warehouse for a test."""
    shutil.copytree(filled_home, house.settings.home)
    return house


def backed_up(house: House, folder: Path) -> BackedUp:
    return back_up(house.settings, folder)


def restored(folder: Path, home: Path, instance: dg.DagsterInstance) -> House:
    return House(Path(shutil.copytree(folder, home)), instance, **ENVIRONMENT)


def votes(house: House) -> list[tuple[Any, ...]]:
    """Number, post and user of all votes."""
    return sorted(house.stored("votes", "id, post_id, user_id"))


def test_what_is_restored_is_what_was_there_and_goes_on(
    filled: House, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    folder = tmp_path / "backup"
    done = backed_up(filled, folder)
    assert done.copied == done.files
    again = restored(folder, tmp_path / "restored", instance)

    assert votes(again) == votes(filled) == [(1, 1, None), (2, 1, None), (3, 1, None)]
    verified = verify(again.lake.table(VOTES))
    assert (verified.damaged, verified.without_hash) == ((), ())
    assert again.waiting() == ["votes-3.jsonl"]
    take(again)
    assert votes(again) == [(1, 1, None), (2, 1, None), (3, 2, None), (4, 2, None)]
    assert len(again.stored("rejected_records")) == 1
    # What was backed up has not noticed.
    assert filled.waiting() == ["votes-3.jsonl"]


def test_labels_and_the_versions_that_they_keep_are_restored(
    filled: House, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    table = filled.lake.table(VOTES)
    labelled_at = table.open()
    give_label(filled.lake, "before", {"votes": labelled_at})
    take(filled)
    files = set(labelled_at.file_uris())
    assert files - set(table.open().file_uris())  # they are of older versions alone

    folder = tmp_path / "backup"
    backed_up(filled, folder)
    again = restored(folder, tmp_path / "restored", instance)

    assert labelled(again.lake) == labelled(filled.lake)
    (one,) = labelled(again.lake)
    assert (one.label, one.version) == ("before", labelled_at.version())
    old = open_at(again.lake.table(VOTES), one.version)
    with again.lake.connect() as connection:
        again.lake.view(connection, VOTES, old)
        rows = connection.execute("SELECT id, post_id FROM votes ORDER BY id").fetchall()
    assert rows == [(1, 1), (2, 1), (3, 1)]
    assert [number for number, _, _ in votes(again)] == [1, 2, 3, 4]
    # A label that is removed is not in the next one, nor what only it kept.
    remove_label(filled.lake, "before")
    backed_up(filled, folder)
    third = restored(folder, tmp_path / "third", instance)
    assert labelled(third.lake) == []
    with pytest.raises(GoneError):
        open_at(third.lake.table(VOTES), one.version)


def test_a_later_backup_copies_what_is_new_and_drops_what_is_gone(
    filled: House, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    folder = tmp_path / "backup"
    backed_up(filled, folder)
    assert backed_up(filled, folder).copied == 0
    take(filled)

    done = backed_up(filled, folder)

    assert 0 < done.copied < done.files
    again = restored(folder, tmp_path / "restored", instance)
    assert again.waiting() == []
    assert votes(again) == votes(filled)
    assert len(list(folder.glob("archive/votes/*"))) == 3

    shutil.rmtree(filled.settings.lake)
    take(filled)  # all files at once: fewer versions
    backed_up(filled, folder)
    again = restored(folder, tmp_path / "made again", instance)
    assert votes(again) == votes(filled)
    assert again.versions()["votes"] == filled.versions()["votes"]


def test_a_backup_that_was_broken_off_shows_and_a_further_try_completes_it(
    filled: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backup"
    left = 0

    def die(source: BinaryIO, target: BinaryIO, length: int) -> None:
        nonlocal left
        if not left:
            target.write(source.read(10))
            raise KeyboardInterrupt
        left -= 1
        original(source, target, length)

    original = shutil.copyfileobj
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", die)
        for copies in (0, 7):
            left = copies
            with pytest.raises(KeyboardInterrupt):
                backed_up(filled, folder)
            assert not (folder / "backup.json").exists()

    done = backed_up(filled, folder)

    assert done.copied == done.files - 7
    told = json.loads((folder / "backup.json").read_text())
    assert told["versions"] == done.versions
    assert [path for path in folder.rglob("*") if path.suffix == ".copying"] == []
    fresh = tmp_path / "fresh"
    backed_up(filled, fresh)
    assert contents(folder) == contents(fresh)


def contents(backup: Path) -> dict[Path, bytes]:
    """What is in the files of a backup, but for its note of when it was made."""
    files = (path for path in backup.rglob("*") if path.is_file() and path.name != "backup.json")
    return {path.relative_to(backup): path.read_bytes() for path in files}


def test_folders_that_hold_something_else_are_refused(filled: House, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    for folder, reason in (
        (tmp_path / "photos", "holds no backup"),
        (filled.settings.home, "holds"),
        (folder_of(filled.settings.lake) / "backup", "of which it is to be a backup"),
    ):
        with pytest.raises(SettingError, match=reason):
            backed_up(filled, folder)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_two_backups_into_one_folder_at_once_are_refused(
    filled: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backup"
    original = shutil.copyfile

    def copy_amid_another(source: Path, target: Path) -> None:
        with pytest.raises(BusyError, match="Another backup"):
            backed_up(filled, folder)
        original(source, target)

    monkeypatch.setattr(shutil, "copyfile", copy_amid_another)
    backed_up(filled, folder)
    assert (folder / "backup.json").exists()


def test_tables_are_copied_before_those_that_they_are_computed_from(
    filled: House, tmp_path: Path
) -> None:
    names = [str(table.name) for table in TABLES]
    wrong = [
        (name, read)
        for spec in defs.resolve_all_asset_specs()
        for name, read in ((spec.key.path[-1], dep.asset_key.path[-1]) for dep in spec.deps)
        if name in names and read in names and names.index(name) < names.index(read)
    ]
    assert wrong == []
    assert list(backed_up(filled, tmp_path / "backup").versions) == [
        "loads",
        "votes",
        "rejected_records",
    ]


@pytest.fixture
def living(house: House) -> Iterator[GroupSupplier]:
    """A supplier of a warehouse in which votes are taken and maintained without pause."""
    supplier, end = GroupSupplier(random.Random(1), house.settings.inbox), threading.Event()

    def take_until_the_end() -> None:
        while not end.is_set():
            take(house)

    def maintain_until_the_end() -> None:
        while not end.is_set():
            for table in (VOTES, REJECTED_RECORDS):
                with suppress(ConflictError):
                    maintain(house.lake, house.lake.table(table), _KEEP_DAYS)

    supplier.send()
    with ThreadPoolExecutor() as threads:
        work = [threads.submit(act) for act in (take_until_the_end, maintain_until_the_end)]
        yield supplier
        end.set()
    for done in work:
        done.result()


def test_a_backup_made_while_files_are_taken_holds_each_record_once(
    living: GroupSupplier, house: House, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    supplier, home = living, house.settings.home
    folder = tmp_path / "backup"
    until = time.monotonic() + _MOST_SECONDS
    while not list(home.glob("archive/votes/*")):
        assert time.monotonic() < until
        supplier.send()
        time.sleep(0.3)
    backed_up(house, folder)

    again = restored(folder, tmp_path / "restored", instance)
    take(again)
    expected, rejected = in_files(again)
    assert votes(again) == expected
    assert len(again.stored("rejected_records")) == rejected
    # What came after the backup is taken when it is delivered again.
    known = {path.read_bytes() for path in again.settings.archive.glob("*/*")}
    for path in sorted(home.glob("archive/*/*")):
        if path.read_bytes() not in known:
            shutil.copy2(path, again.settings.inbox / path.name.partition("-")[2])
    take(again)
    assert votes(again) == in_files(again)[0]


def in_files(house: House) -> tuple[list[tuple[Any, ...]], int]:
    """What the votes of the archive come to, in the order of arrival, and how many are unusable."""
    found: dict[int, tuple[int, int, int]] = {}
    rejected = 0
    for path in sorted(house.settings.archive.glob("votes/*")):
        for record in map(json.loads, path.read_text().splitlines()):
            if record["Id"] == "x":
                rejected += 1
            else:
                row = int(record["Id"]), int(record["PostId"]), int(record["UserId"])
                found[row[0]] = row
    return sorted(found.values()), rejected
