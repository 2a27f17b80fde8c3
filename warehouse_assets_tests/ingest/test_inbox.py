"""What the inbox shows of the files in it."""

import os
import time
from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError, TransientError
from warehouse_assets.ingest.inbox import FileChangedError, Inbox, InboxFile, Waiting


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    inbox = Inbox(tmp_path / "inbox", tmp_path / "archive", settle_seconds=0)
    inbox.prepare()
    return inbox


def put(inbox: Inbox, name: str, seconds_ago: float = 60, content: bytes = b"{}") -> Path:
    path = inbox.folder / name
    path.write_bytes(content)
    moment = time.time() - seconds_ago
    os.utime(path, (moment, moment))
    return path


def complete(inbox: Inbox) -> list[str]:
    return [file.name for file in inbox.look().complete]


def test_files_arrive_in_the_order_in_which_they_were_last_changed_then_of_their_names(
    inbox: Inbox,
) -> None:
    moment = 1_650_000_000_000_000_000
    for name, changed in [("d", moment), ("b", moment), ("c", moment + 1), ("a", moment + 2)]:
        os.utime(put(inbox, name), ns=(0, changed))
    assert complete(inbox) == ["b", "d", "c", "a"]


def test_hidden_files_are_not_files_that_arrived(inbox: Inbox) -> None:
    put(inbox, ".posts.json")
    assert inbox.look() == Waiting([], [])


def test_a_file_named_as_partial_is_never_complete(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["p.PART", "p.crdownload", "p.part", "p.partial", "p.temp", "p.tmp"]
    for name in names:
        put(inbox, name, seconds_ago=10**6)
    monkeypatch.setattr(time, "sleep", pytest.fail)
    waiting = inbox.settled()
    assert waiting.complete == []
    assert sorted(file.name for file in waiting.unfinished) == names


def test_a_file_changed_within_the_settle_time_is_still_being_written(tmp_path: Path) -> None:
    folders = tmp_path / "inbox", tmp_path / "archive"
    inbox = Inbox(*folders, settle_seconds=100)
    inbox.prepare()
    put(inbox, "old.json", seconds_ago=101)
    put(inbox, "new.json", seconds_ago=0)
    put(inbox, "ahead.json", seconds_ago=-3600)  # which says nothing of when it was written to
    waiting = inbox.look()
    assert [file.name for file in waiting.complete] == ["old.json", "ahead.json"]
    assert [file.name for file in waiting.unfinished] == ["new.json"]
    settled = Inbox(*folders, settle_seconds=0.3).settled()
    assert [file.name for file in settled.complete] == ["old.json", "new.json", "ahead.json"]


def test_settled_leaves_a_file_that_is_written_to_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox(tmp_path / "inbox", tmp_path / "archive", settle_seconds=30)
    inbox.prepare()
    path = put(inbox, "growing.json", seconds_ago=20)
    slept: list[float] = []

    def write_instead_of_sleeping(seconds: float) -> None:
        slept.append(seconds)
        path.write_bytes(b"{} {}")

    monkeypatch.setattr(time, "sleep", write_instead_of_sleeping)
    waiting = inbox.settled()
    assert [file.name for file in waiting.unfinished] == ["growing.json"]
    assert slept == [pytest.approx(10, abs=5)]


def test_looking_at_an_inbox_that_does_not_exist_finds_nothing(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "a" / "inbox", tmp_path / "b" / "archive", 0)
    assert inbox.look() == Waiting([], [])
    assert not inbox.folder.exists()
    for _ in range(2):
        inbox.prepare()
        assert inbox.folder.is_dir()
        assert inbox.archive.is_dir()


def test_a_file_that_goes_while_the_inbox_is_listed_is_left_out(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(inbox, "gone.json")
    put(inbox, "here.json")
    look_at = InboxFile.look_at

    def vanish(path: Path, name: str | None = None) -> InboxFile:
        if path.name == "gone.json":
            path.unlink()
        return look_at(path, name)

    monkeypatch.setattr(InboxFile, "look_at", vanish)
    assert complete(inbox) == ["here.json"]


@pytest.mark.parametrize("name", ["inbox", "archive"])
def test_a_folder_that_cannot_be_used_is_named_with_its_setting(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox(tmp_path / "inbox", tmp_path / "archive", 0)
    inbox.prepare()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, _mode: path != tmp_path / name)
        with pytest.raises(SourceError, match=rf"{name} cannot be written.* {name.upper()}"):
            inbox.prepare()
    (tmp_path / name).rmdir()
    (tmp_path / name).write_text("a file where a folder should be")
    with pytest.raises(SourceError, match=rf"{tmp_path / name} cannot be made.* {name.upper()} "):
        inbox.prepare()


def test_an_inbox_that_is_a_file_cannot_be_looked_into(tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("")
    with pytest.raises(SourceError, match=rf"{tmp_path / 'inbox'} cannot be read.*INBOX"):
        Inbox(tmp_path / "inbox", tmp_path / "archive", 0).look()


def test_the_same_content_has_the_same_digest_under_every_name(inbox: Inbox) -> None:
    long = b"x" * 3_000_000
    one, two, other = (
        InboxFile.look_at(put(inbox, name, content=content)).digest()
        for name, content in [("1.json", long), ("2.json", long), ("3.json", b"")]
    )
    assert one == two
    assert one != other


def test_a_file_that_vanished_before_it_was_read_can_be_tried_again(inbox: Inbox) -> None:
    path = put(inbox, "posts.json")
    file = InboxFile.look_at(path)
    path.unlink()
    with pytest.raises(FileChangedError, match=r"posts\.json vanished"):
        file.digest()
    assert issubclass(FileChangedError, TransientError)


def test_a_file_that_cannot_be_read_is_named(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    file = InboxFile.look_at(put(inbox, "posts.json"))

    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SourceError, match=r"posts\.json cannot be read: Permission denied"):
        file.digest()


def test_a_name_that_is_not_utf8_is_shown_with_replacement_characters(inbox: Inbox) -> None:
    path = Path(os.fsdecode(os.fsencode(inbox.folder) + b"/posts-\xe9.json"))
    path.write_bytes(b"{}")
    assert complete(inbox) == ["posts-\N{REPLACEMENT CHARACTER}.json"]


def test_a_changed_file_is_noticed(inbox: Inbox) -> None:
    for content in (b"[]", b"{} "):
        path = put(inbox, "posts.json", content=b"{}")
        file = InboxFile.look_at(path)
        file.check_unchanged()
        path.write_bytes(content)
        with pytest.raises(FileChangedError, match=r"posts\.json was changed.*\.part"):
            file.check_unchanged()
