"""The files of a log: which belong to it, in which order, and which holds a mark."""

import os
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.sources import growing_log
from warehouse_assets.sources.growing_log import LogChangedError, LogSource, OpenLog, open_log
from warehouse_assets.sources.log_marks import WINDOW_BYTES, Mark, digest_of


@pytest.fixture
def source(tmp_path: Path) -> LogSource:
    return LogSource(tmp_path / "runs.log", True, "TEST_RUNS_LOG")


def put(source: LogSource, suffix: str, content: bytes = b"", at: int | None = None) -> Path:
    """Write the log or a rotated one, last changed at `at`."""
    path = source.path.with_name(source.path.name + suffix)
    path.write_bytes(content)
    if at is not None:
        os.utime(path, ns=(0, at))
    return path


def mark_in(path: Path, offset: int) -> Mark:
    window = path.read_bytes()[:offset][-WINDOW_BYTES:]
    return Mark(0, offset, digest_of(window), path.stat().st_ino)


def names(source: LogSource) -> list[str]:
    with open_log(source) as log:
        return [file.path.name for file in log.files]


def found(source: LogSource, mark: Mark) -> str | None:
    with open_log(source) as log:
        file = log.find(mark)
        return None if file is None else file.path.name


def test_rotated_logs_are_known_by_their_names(source: LogSource) -> None:
    of_the_log = [".1", ".2", "-20261121", ".2026-11-21", ".2026-11-21T09:00", "_3", ".old"]
    for at, suffix in enumerate(of_the_log):
        put(source, suffix, at=at)
    others = [".1.gz", ".2.xz", ".swp", ".tmp", ".bak", ".bak1", ".1~", ".lock", ".offset", "x1"]
    for suffix in others:
        put(source, suffix)
    put(source, "", at=99)
    (source.path.parent / "other.log.1").touch()
    (source.path.parent / "runs.log.9").mkdir()

    assert names(source) == [f"runs.log{suffix}" for suffix in [*of_the_log, ""]]


def test_rotated_logs_are_in_the_order_in_which_they_were_written(source: LogSource) -> None:
    for suffix, at in ((".1", 30), (".2", 20), (".3", 20), (".10", 20), ("", 10)):
        put(source, suffix, at=at)
    assert names(source) == [f"runs.log{suffix}" for suffix in (".10", ".3", ".2", ".1", "")]


def test_there_may_be_nothing(source: LogSource) -> None:
    assert names(source) == []
    nowhere = LogSource(source.path / "below" / "runs.log", True, "TEST_RUNS_LOG")
    assert names(nowhere) == []
    put(source, "")
    assert names(nowhere) == []


def test_a_mark_is_found_by_what_is_before_it(source: LogSource) -> None:
    path = put(source, "", b"one\ntwo\n")
    mark = mark_in(path, 4)
    assert found(source, mark) == "runs.log"

    path.rename(put(source, ".1"))
    assert found(source, mark) == "runs.log.1"
    put(source, "", b"new\nlog\n")
    assert found(source, mark) == "runs.log.1"
    put(source, ".1", b"one")
    assert found(source, mark) is None


def test_of_files_that_hold_the_same_the_renamed_one_is_meant(source: LogSource) -> None:
    path = put(source, "", b"same\nmore\n")
    mark = mark_in(path, 5)
    path.rename(source.path.with_name("runs.log.1"))
    put(source, "", b"same\n")
    assert found(source, mark) == "runs.log.1"


def test_of_copies_the_present_log_is_meant_and_else_the_longest(source: LogSource) -> None:
    path = put(source, "", b"same\n")
    mark = Mark(0, 5, mark_in(path, 5).digest, 1)
    put(source, ".1", b"same\nmore\n")
    put(source, ".2", b"same\nmuch more\n")
    assert found(source, mark) == "runs.log"
    path.unlink()
    assert found(source, mark) == "runs.log.2"


def test_what_was_copied_twice_is_read_once(source: LogSource) -> None:
    content = b"x" * WINDOW_BYTES + b"\n"
    mark = mark_in(put(source, "", content), WINDOW_BYTES)
    put(source, ".2", content + b"a\n", at=20)
    put(source, ".1", content, at=30)
    put(source, "-3", b"", at=35)
    put(source, "", b"b\n", at=40)
    with open_log(source) as log:
        file = log.find(mark)
        assert file is not None
        since = [file.path.name for file in log.since(file, mark)]
    assert since == ["runs.log.2", "runs.log"]


def test_only_the_window_before_a_mark_is_compared(source: LogSource) -> None:
    content = bytearray(b"x" * (WINDOW_BYTES + 10))
    mark = mark_in(put(source, "", bytes(content)), WINDOW_BYTES + 5)
    content[0] = content[4] = content[-1] = 0
    put(source, "", bytes(content))
    assert found(source, mark) == "runs.log"
    content[5] = 0
    put(source, "", bytes(content))
    assert found(source, mark) is None


def test_a_line_end_is_looked_for_behind_the_offset(source: LogSource) -> None:
    put(source, "", b"a\n" + b"b" * (3 << 20))
    with open_log(source) as log:
        assert log.present is not None
        assert log.present.has_line(0)
        assert log.present.has_line(1)
        assert not log.present.has_line(2)
    put(source, "", b"a\n" + b"b" * (3 << 20) + b"\n")
    with open_log(source) as log:
        assert log.present is not None
        assert log.present.has_line(2)


def test_a_log_that_is_a_folder_is_told(source: LogSource) -> None:
    source.path.mkdir()
    with pytest.raises(SourceError, match=r"runs\.log is not a file. Set TEST_RUNS_LOG to"):
        names(source)


def refuse(monkeypatch: pytest.MonkeyPatch, refused: Path) -> None:
    """Have the operating system refuse to open a file, even to the superuser."""
    original = Path.open

    def refusing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == refused:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)


def test_a_log_that_cannot_be_read_is_told(
    source: LogSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, put(source, ""))
    with pytest.raises(SourceError, match=r"cannot be read: Permission denied.*TEST_RUNS_LOG"):
        names(source)


def test_a_rotated_log_that_cannot_be_read_is_told_if_it_is_needed(
    source: LogSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = mark_in(put(source, "", b"one\n"), 4)
    refuse(monkeypatch, put(source, ".1"))
    assert found(source, mark) == "runs.log"
    put(source, "", b"two\n")
    with pytest.raises(SourceError, match=r"rotated log .*runs\.log\.1 cannot be read"):
        found(source, mark)


def test_a_rotation_in_between_is_noticed(
    source: LogSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(source, "", b"first\n", at=1)
    original, rotations = growing_log._open, 0

    def rotate_first(*arguments: Any) -> OpenLog:
        nonlocal rotations
        rotations += 1
        if rotations <= 2:
            source.path.rename(source.path.with_name(f"runs.log.{rotations}"))
            put(source, "", b"next\n", at=rotations + 1)
        return original(*arguments)

    monkeypatch.setattr(growing_log, "_open", rotate_first)
    assert names(source) == ["runs.log.1", "runs.log.2", "runs.log"]
    assert rotations == 3


def test_rotations_without_end_are_told(source: LogSource, monkeypatch: pytest.MonkeyPatch) -> None:
    original = growing_log._open

    def rotate(*arguments: Any) -> OpenLog:
        put(source, "").unlink()
        put(source, f".{len(list(source.path.parent.iterdir()))}")
        return original(*arguments)

    monkeypatch.setattr(growing_log, "_open", rotate)
    with pytest.raises(LogChangedError, match="renamed all the time"):
        names(source)
