import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from warehouse_assets.errors import BusyError, LakeError
from warehouse_assets.lake import Lake
from warehouse_assets.lake import lake as lake_module
from warehouse_assets.progress import heard_by

_HOLDER = """
import sys
from pathlib import Path
from warehouse_assets.lake import Lake
folder = Path(sys.argv[1])
with Lake(folder / "lake", folder / "tmp", 10**9).lock("pets"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_process_holds_the_lock(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock until a line is written to it."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_module, "LOCK_QUIET_SECONDS", 0.05)


def test_a_second_process_waits_and_tells_what_for(tmp_path: Path, lake: Lake) -> None:
    told: list[str] = []
    with another_process_holds_the_lock(tmp_path) as process:
        assert process.stdin is not None
        stdin = process.stdin

        def on_wait(message: str) -> None:
            told.append(message)
            assert process.poll() is None
            stdin.write("go\n")
            stdin.flush()

        with heard_by(on_wait), lake.lock("pets"):
            assert process.wait(60) == 0
    assert told == ["Waiting for another run that is changing the table pets."]


def test_a_free_lock_is_taken_without_a_word(lake: Lake) -> None:
    told: list[str] = []
    for _ in range(2):
        with heard_by(told.append), lake.lock("pets"):
            pass
    assert told == []


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, lake: Lake) -> None:
    with another_process_holds_the_lock(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
        told: list[str] = []
        with heard_by(told.append), lake.lock("pets"):
            pass
    assert told == []


def test_the_lock_of_another_table_is_another(tmp_path: Path, lake: Lake) -> None:
    told: list[str] = []
    with (
        another_process_holds_the_lock(tmp_path),
        heard_by(told.append),
        lake.lock("visits"),
    ):
        pass
    assert told == []


def test_a_lock_that_is_not_released_is_explained(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_module, "LOCK_TIMEOUT_SECONDS", 0.1)
    with (
        another_process_holds_the_lock(tmp_path),
        pytest.raises(BusyError, match=r"pets.*pets\.lock"),
        lake.lock("pets"),
    ):
        pass


def test_the_lock_is_released_after_an_error_which_passes_unchanged(lake: Lake) -> None:
    with pytest.raises(FileNotFoundError, match="a file"), lake.lock("pets"):
        raise FileNotFoundError("a file")
    with lake.lock("pets"):
        pass


def test_threads_of_one_process_wait_for_each_other(lake: Lake) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with heard_by(lambda _: waiting.set()), lake.lock("pets"):
            order.append("second")

    with lake.lock("pets"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(60)
        time.sleep(0.05)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_a_folder_that_cannot_hold_locks_is_explained(lake: Lake) -> None:
    lake.folder.mkdir()
    (lake.folder / ".locks").write_text("x")
    with pytest.raises(LakeError, match="LAKE_URI"), lake.lock("pets"):
        pass
