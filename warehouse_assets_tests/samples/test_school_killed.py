"""A school whose writer was killed, anywhere: its sources are completed."""

from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.samples import school_writer
from warehouse_assets.samples.school_files import StudentsFile
from warehouse_assets.samples.school_log import LogFiles
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_writer import SchoolWriter, complete
from warehouse_assets_tests.samples.school_life import Killed, grown, killed, live
from warehouse_assets_tests.samples.school_truth import (
    assert_sources_are_as_recorded,
    log_bytes,
    log_files,
    rows,
)


@pytest.mark.parametrize("step", ["students", "batches", "log"])
def test_what_a_killed_process_left_is_completed(
    places: Places, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: object) -> None:
        raise Killed

    target = {
        "students": (StudentsFile, "write"),
        "batches": (school_writer, "write_batches"),
        "log": (LogFiles, "append"),
    }[step]

    def change(writer: SchoolWriter) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(*target, die)
            live(writer, 1000)

    killed(places, change)
    recorded = rows(places.ledger, "SELECT max(position) FROM runs")[0][0]
    assert recorded > len(log_bytes(places))

    complete(places)

    assert_sources_are_as_recorded(places)
    assert len(log_bytes(places)) > recorded


@pytest.mark.parametrize("kept", [0, 1, 500, 5000])
def test_a_log_killed_in_the_middle_of_a_write_is_completed(
    places: Places, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    def write_part(logs: LogFiles, age: int, parts: list[bytes], is_slow: bool = False) -> None:
        with logs.path(age).open("ab") as stream:
            stream.write(b"".join(parts)[:kept])
        raise Killed

    def change(writer: SchoolWriter) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(LogFiles, "append", write_part)
            live(writer, 500)

    killed(places, change)
    complete(places)

    assert_sources_are_as_recorded(places)


@pytest.mark.parametrize("renames_done", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_rotation_killed_anywhere_is_completed(
    places: Places, monkeypatch: pytest.MonkeyPatch, renames_done: int, seed: int
) -> None:
    grown(places, rotations=2)
    replace = Path.replace
    calls = []

    def rename(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) > renames_done:
            raise Killed
        return replace(path, target)

    def die(*_: object) -> None:
        raise Killed

    def rotate(writer: SchoolWriter) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", rename)
            patch.setattr(LogFiles, "append", die)
            writer.rotate(keep=9)
        raise Killed

    killed(places, rotate, seed)
    complete(places)

    assert [path.name for path in log_files(places)] == [f"test_runs.log.{n}" for n in (3, 2, 1)]
    assert_sources_are_as_recorded(places)
    grown(places)
    assert_sources_are_as_recorded(places)


def test_a_log_that_is_changed_meanwhile_stays_so(places: Places) -> None:
    def change(writer: SchoolWriter) -> None:
        places.log.write_text("mine")
        with pytest.raises(SourceError, match="changed"):
            live(writer, 20)
        raise Killed

    killed(places, change)

    assert places.log.read_text() == "mine"
