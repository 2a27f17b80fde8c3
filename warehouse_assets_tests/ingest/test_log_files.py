"""The files of a log: which belong to it, in which order, and which holds a mark."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.lines import TAIL_BYTES
from warehouse_assets.ingest.log_files import (
    Checkpoint,
    LogChangedError,
    LogSource,
    digest_of,
    files_since,
    open_log,
)


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


def mark_in(path: Path, offset: int) -> Checkpoint:
    window = path.read_bytes()[:offset][-TAIL_BYTES:]
    return Checkpoint(0, offset, digest_of(window), path.stat().st_ino)


def names(source: LogSource) -> list[str]:
    with open_log(source) as log:
        return [file.path.name for file in log.files]


def found(source: LogSource, mark: Checkpoint) -> str | None:
    with open_log(source) as log:
        files = files_since(log, mark)
        return files[0].path.name if files else None


def test_rotated_logs_are_known_by_their_names(source: LogSource) -> None:
    nowhere = replace(source, path=source.path / "below" / "runs.log")
    assert names(source) == names(nowhere) == []
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


def test_of_files_that_hold_the_same_the_likeliest_is_meant(source: LogSource) -> None:
    path = put(source, "", b"same\nmore\n")
    mark = mark_in(path, 5)
    path.rename(source.path.with_name("runs.log.1"))
    put(source, "", b"same\n")
    assert found(source, mark) == "runs.log.1", "which was renamed"
    copy = replace(mark, file_number=1)
    assert found(source, copy) == "runs.log", "the present one of copies"
    put(source, ".2", b"same\nmuch more\n")
    path.unlink()
    assert found(source, copy) == "runs.log.2", "the longest of copies"


def test_what_was_copied_twice_is_read_once(source: LogSource) -> None:
    content = b"x" * TAIL_BYTES + b"\n"
    mark = mark_in(put(source, "", content), TAIL_BYTES)
    put(source, ".2", content + b"a\n", at=20)
    put(source, ".1", content, at=30)
    put(source, "-3", b"", at=35)
    put(source, "", b"b\n", at=40)
    with open_log(source) as log:
        since = [file.path.name for file in files_since(log, mark)]
    assert since == ["runs.log.2", "runs.log"]


def test_only_the_window_before_a_mark_is_compared(source: LogSource) -> None:
    content = bytearray(b"x" * (TAIL_BYTES + 10))
    mark = mark_in(put(source, "", bytes(content)), TAIL_BYTES + 5)
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
    source.path.mkdir()
    with pytest.raises(SourceError, match=r"runs\.log is not a file. Set TEST_RUNS_LOG to"):
        names(source)
    source.path.rmdir()
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


@pytest.mark.parametrize("rotations", [2, 1000])
def test_rotations_in_between_are_noticed(
    source: LogSource, monkeypatch: pytest.MonkeyPatch, rotations: int
) -> None:
    put(source, "", b"first\n", at=1)
    actions: list[Callable[[], None]] = [
        partial(rotate, source, number) for number in range(1, rotations + 1)
    ]
    before_opening(monkeypatch, source, actions)
    if rotations == 2:
        assert names(source) == ["runs.log.1", "runs.log.2", "runs.log"]
        return
    with pytest.raises(LogChangedError, match="renamed all the time"):
        names(source)


def rotate(source: LogSource, number: int) -> None:
    source.path.rename(source.path.with_name(f"runs.log.{number}"))
    put(source, "", b"next\n", at=number + 1)


def before_opening(
    monkeypatch: pytest.MonkeyPatch, source: LogSource, actions: list[Callable[[], None]]
) -> None:
    """Do one of `actions` each time before the log is opened to be read."""
    original, remaining = Path.open, iter(actions)

    def open_later(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if (path, mode) == (source.path, "rb") and (action := next(remaining, None)):
            action()
        return original(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_later)
