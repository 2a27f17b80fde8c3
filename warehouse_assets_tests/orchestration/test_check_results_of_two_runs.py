"""Two runs that keep their check results at once."""

import threading
from pathlib import Path

import pytest

from warehouse_assets.orchestration.check_results import CheckResults, LookedAt, Result


def keep(folder: Path, check: str) -> None:
    with CheckResults(folder, "votes") as results:
        results.keep(check, Result.now(LookedAt("x", ("id", 1), {}), "", {}, False))


def test_two_runs_that_end_at_once_do_not_take_each_others_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_written, may_go_on = threading.Event(), threading.Event()
    write_text = Path.write_text

    def write_and_wait(path: Path, text: str, encoding: str) -> int:
        size = write_text(path, text, encoding=encoding)
        if not has_written.is_set():
            has_written.set()
            may_go_on.wait(60)
        return size

    monkeypatch.setattr(Path, "write_text", write_and_wait)
    first = threading.Thread(target=keep, args=(tmp_path, "one"))
    second = threading.Thread(target=keep, args=(tmp_path, "two"))
    first.start()
    assert has_written.wait(60)
    second.start()
    second.join(0.5)  # without a lock it would have renamed the file of the first
    may_go_on.set()
    for thread in (first, second):
        thread.join(60)

    # pytest makes an error of an exception in a thread
    assert not first.is_alive()
    assert not second.is_alive()
    with CheckResults(tmp_path, "votes") as results:
        assert results.last("two") is not None
    assert [p.name for p in (tmp_path / ".checks").glob("*.part")] == []


def test_of_two_runs_the_result_of_the_later_version_stays(tmp_path: Path) -> None:
    def result(version: int, problem: str) -> Result:
        looked_at = LookedAt("x", ("id", version), {})
        return Result.now(looked_at, problem, {}, blocks=True)

    with CheckResults(tmp_path, "votes") as slower:
        with CheckResults(tmp_path, "votes") as faster:
            faster.keep("key_is_unique", result(6, "It is not."))
            faster.keep("other", result(6, "It is not."))
        slower.keep("key_is_unique", result(5, ""))

    with CheckResults(tmp_path, "votes") as results:
        assert [name for name, _ in results.blocking_failures()] == ["key_is_unique", "other"]
