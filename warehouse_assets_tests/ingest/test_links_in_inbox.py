"""What is in the inbox and is no file of its own: links that lead out of it, pipes, folders."""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from warehouse_assets.definitions import FILE_KINDS
from warehouse_assets.defs.forum.family import UNRECOGNISED_FILES, VOTES_FILES
from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.file_kinds import FileKind, Unit, left_behind
from warehouse_assets.ingest.inbox import FileChangedError, Inbox, Waiting, copy_file
from warehouse_assets.lake import LakeTable, WrittenFile
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import take

_KINDS = pytest.mark.parametrize(
    ("kind", "name"),
    [(VOTES_FILES, "votes.json.gz"), (TRIPS_FILES, "trips.csv"), (UNRECOGNISED_FILES, "x.json")],
)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file outside the inbox that the service may read."""
    path = tmp_path / "secret"
    path.write_text("password=hunter2\n")
    return path


@pytest.mark.parametrize("is_within", [True, False])
def test_a_link_is_refused_and_named_and_its_target_never_read(
    house: House, secret: Path, is_within: bool
) -> None:
    inside, name = house.deliver("notes", "password=hunter2\n"), "votes.jsonl"
    link = house.settings.inbox / name
    link.symlink_to(inside if is_within else secret)

    taken = take(house)

    assert taken.files == ()
    assert house.rejected() == []
    assert house.archived() == []
    assert link.is_symlink()
    reason = left_behind(house.inbox.look(), FILE_KINDS)[name]
    assert reason.startswith("it is a symbolic link, which is not followed.")


@_KINDS
def test_a_file_that_becomes_a_link_after_it_was_looked_at_is_not_read(
    house: House, secret: Path, kind: FileKind, name: str
) -> None:
    house.deliver(name, "{}\n")

    class Swapped(Inbox):
        """The file has become a link by the time at which its look is over."""

        def look(self) -> Waiting:
            waiting = super().look()
            _swap(house.settings.inbox / name, secret)
            return waiting

    house.inbox = Swapped(house.settings.inbox, house.settings.archive, 0)
    with pytest.raises((FileChangedError, SourceError)):
        take(house, replace(kind, recognises=lambda file: file.name == name))

    assert house.rejected() == []
    assert house.archived() == []


def test_a_file_that_is_a_link_only_while_it_is_read_gives_nothing(
    house: House, secret: Path
) -> None:
    path = house.deliver("votes.jsonl", [vote(1, 1)])

    def stage_swapped(
        connection: duckdb.DuckDBPyConnection,
        table: LakeTable | None,
        units: Sequence[Unit],
        spool: Path,
    ) -> Sequence[WrittenFile]:
        back = _swap(path, secret)
        written = VOTES_FILES.stage(connection, table, units, spool)
        back()
        return written

    with pytest.raises(FileChangedError):
        take(house, replace(VOTES_FILES, stage=stage_swapped))

    assert house.rejected() == []
    assert take(house).records == 1


def _swap(path: Path, secret: Path) -> Callable[[], object]:
    """Put a link to `secret` in the place of a file; returns what puts the file back."""
    aside = path.with_name(".aside")
    path.rename(aside)
    path.symlink_to(secret)
    return lambda: aside.rename(path)


def test_pipes_sockets_and_folders_are_left_alone_and_named(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    inbox = house.settings.inbox
    os.mkfifo(inbox / "votes-pipe.jsonl")
    (inbox / "votes-folder.jsonl").mkdir()
    (inbox / "votes-gone.jsonl").symlink_to(inbox / "nowhere")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(os.path.relpath(inbox / "votes-socket.jsonl"))

        assert take(house).records == 1

    left = left_behind(house.inbox.look(), FILE_KINDS)
    assert {name: reason.split(",")[0].partition(".")[0] for name, reason in left.items()} == {
        "votes-folder.jsonl": "it is a folder",
        "votes-gone.jsonl": "it is a symbolic link",
        "votes-pipe.jsonl": "it is no file but a pipe",
        "votes-socket.jsonl": "it is no file but a pipe",
    }


def test_the_inbox_itself_may_be_a_link(tmp_path: Path, house: House) -> None:
    (tmp_path / "mounted").mkdir()
    house.settings.inbox.parent.mkdir(parents=True)
    house.settings.inbox.symlink_to(tmp_path / "mounted")
    house.deliver("votes.jsonl", [vote(1, 1)])

    assert take(house).records == 1
    assert house.archived() == ["votes/00000001-votes.jsonl"]


def test_files_of_the_archive_may_be_links(tmp_path: Path, house: House) -> None:
    elsewhere = tmp_path / "elsewhere.jsonl"
    house.deliver("votes.jsonl", [vote(1, 1)]).rename(elsewhere)
    archived = house.settings.archive / "votes" / "00000001-votes.jsonl"
    archived.parent.mkdir(parents=True)
    archived.symlink_to(elsewhere)

    assert take(house).records == 1
    assert house.stored("votes", "id, arrival") == [(1, 1)]


def test_what_is_copied_into_the_inbox_is_not_written_through_a_link(
    house: House, secret: Path, tmp_path: Path
) -> None:
    house.settings.inbox.mkdir(parents=True)
    target = house.settings.inbox / "votes.jsonl"
    target.with_name(".votes.jsonl.part").symlink_to(secret)
    mine = tmp_path / "mine"
    mine.write_text("mine")

    copy_file(mine, target)

    assert target.read_text() == "mine"
    assert secret.read_text() == "password=hunter2\n"
