"""Files move from the inbox to the archive, and none is lost on the way."""

import errno
from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.ingest import inbox as inbox_module
from warehouse_assets.ingest.inbox import (
    FileChangedError,
    Inbox,
    InboxFile,
    copy_file,
    delivered_name,
    unit_name,
)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    inbox = Inbox(tmp_path / "inbox", tmp_path / "archive", settle_seconds=0)
    inbox.prepare()
    return inbox


def put(inbox: Inbox, content: bytes, name: str = "posts.json") -> InboxFile:
    path = inbox.folder / name
    path.write_bytes(content)
    return InboxFile.look_at(path)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> Path:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", refuse)


@pytest.mark.parametrize("is_other_device", [False, True])
def test_a_taken_file_moves_to_its_number(
    inbox: Inbox, request: pytest.FixtureRequest, is_other_device: bool
) -> None:
    if is_other_device:
        request.getfixturevalue("other_device")
    inbox.archive_file("posts", 7, put(inbox, b"content" * 300_000))
    assert contents(inbox.folder) == {}
    assert contents(inbox.archive) == {"posts/00000007-posts.json": b"content" * 300_000}


def test_a_link_in_place_of_a_file_that_was_taken_is_not_archived(
    inbox: Inbox, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(b"content")
    file = put(inbox, b"content")
    file.path.unlink()
    file.path.symlink_to(outside)
    with pytest.raises(FileChangedError):
        inbox.archive_file("posts", 1, file)
    assert file.path.is_symlink()
    assert contents(inbox.archive) == {}
    assert outside.read_bytes() == b"content"


def test_a_file_replaced_since_it_was_looked_at_stays_in_the_inbox(inbox: Inbox) -> None:
    file = put(inbox, b"taken")
    put(inbox, b"another")
    with pytest.raises(FileChangedError):
        inbox.archive_file("posts", 1, file)
    assert contents(inbox.folder) == {"posts.json": b"another"}
    assert contents(inbox.archive) == {}


def test_a_file_replaced_at_the_moment_of_the_move_goes_back(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(inbox, b"taken")
    rename, calls = Path.rename, 0

    def replace_first(source: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == 1:
            source.write_bytes(b"another")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", replace_first)
    with pytest.raises(FileChangedError):
        inbox.archive_file("posts", 1, file)
    assert contents(inbox.folder) == {"posts.json": b"another"}
    assert contents(inbox.archive) == {}


@pytest.mark.usefixtures("other_device")
def test_a_file_replaced_while_it_is_copied_to_another_device_is_not_lost(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(inbox, b"taken")

    def replace_first(source: Path, target: Path) -> None:
        source.write_bytes(b"another")
        copy_file(source, target)

    monkeypatch.setattr(inbox_module, "copy_file", replace_first)
    with pytest.raises(FileChangedError):
        inbox.archive_file("posts", 1, file)
    assert contents(inbox.folder) == {"posts.json": b"another"}
    assert contents(inbox.archive) == {}


def test_an_archive_that_cannot_be_written_is_named_with_its_setting(inbox: Inbox) -> None:
    (inbox.archive / "posts").write_text("a file where a folder should be")
    with pytest.raises(SourceError, match=r"has been taken but cannot be moved.*ARCHIVE"):
        inbox.archive_file("posts", 1, put(inbox, b"content"))
    assert contents(inbox.folder) == {"posts.json": b"content"}


def test_a_duplicate_is_removed_only_if_it_is_still_the_same_file(inbox: Inbox) -> None:
    file = put(inbox, b"content")
    put(inbox, b"longer content")
    with pytest.raises(FileChangedError):
        inbox.remove_duplicate(file)
    assert contents(inbox.folder) == {"posts.json": b"longer content"}
    inbox.remove_duplicate(InboxFile.look_at(file.path))
    assert contents(inbox.folder) == {}


def test_a_duplicate_that_cannot_be_removed_is_named(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(inbox, b"content")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(SourceError, match=rf"posts\.json.*Permission denied.*{inbox.folder}"):
        inbox.remove_duplicate(file)


def test_archived_files_are_listed_by_number_whatever_else_lies_there(inbox: Inbox) -> None:
    folder = inbox.archive / "posts"
    folder.mkdir()
    named = {9: "00000009-a\nb.json", 10: "00000010-b.json", 10**8: "100000000-c.json"}
    for name in [*named.values(), "note.txt", "1-x.json", ".00000011-d.json.part"]:
        (folder / name).touch()
    archived = inbox.archived("posts")
    assert {number: path.name for number, path in archived.items()} == named
    assert list(archived) == [9, 10, 10**8]
    assert inbox.archived("votes") == {}


@pytest.mark.parametrize("letter", ["x", "é", "\N{PILE OF POO}"])
def test_the_longest_name_fits_into_the_archive_and_keeps_its_ending(
    inbox: Inbox, letter: str
) -> None:
    name = letter * ((255 - len(".json.gz")) // len(letter.encode())) + ".json.gz"
    inbox.archive_file("posts", 1, put(inbox, b"content", name))
    (path,) = inbox.archived("posts").values()
    assert path.name.endswith(f"{letter}.json.gz")
    assert unit_name(1, delivered_name(path)) == path.name
    assert delivered_name(Path("/a/00000012-2022-01-posts.json")) == "2022-01-posts.json"


def test_a_copy_is_whole_or_not_there_and_replaces_what_a_crash_left(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 2_500_000)
    (tmp_path / ".target.part").write_bytes(b"left by a crash")
    seen: list[int] = []

    def interrupt(count: int) -> None:
        seen.append(count)
        assert not target.exists()
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_file(source, target, interrupt)
    assert list(contents(tmp_path)) == ["source"]
    seen.clear()
    copy_file(source, target, seen.append)
    assert contents(tmp_path) == dict.fromkeys(("source", "target"), source.read_bytes())
    assert sum(seen) == 2_500_000
