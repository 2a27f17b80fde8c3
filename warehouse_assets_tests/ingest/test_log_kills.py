"""However a log is written, taken and rotated, and wherever a process dies: every line once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets_tests.crashes import Killed, dying_at, killed_at
from warehouse_assets_tests.defs.school.line_model import expected, lines_of, values_of
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.ingest.logs import Log, run_line

SIZE = len(run_line(1))

STEPS = [
    ("source to be read", 1),
    ("source read", 1),
    ("rejects committed", 1),
    ("rows committed", 1),
    ("source to be read", 2),
    ("rejects committed", 2),
    ("rows committed", 2),
]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log that is loaded in parts of a few lines."""
    return Log(tmp_path, part=2 * SIZE)


def test_dying_again_and_again_changes_nothing(log: Log) -> None:
    # Two parts of the log, with lines that are rejected in each and at its beginning.
    log.write(b"bad 1\n", run_line(1), b"\n", run_line(2), b"bad 2\n", run_line(3), b"bad 3\n")
    for number, (step, call) in enumerate(STEPS):
        # A point at which nothing is left to do is not reached.
        with suppress(Killed), dying_at(step, call):
            log.take()
        log.write(run_line(10 + number), b"bad\n", b"cut")
        if number % 3 == 2:
            log.rotate()
    log.write(b"\n")
    log.take()
    assert (log.rows(), log.rejected()) == expected(log.contents())
    versions = log.versions()
    log.take()
    assert log.versions() == versions


def test_dying_at_the_change_to_the_next_file_gives_it_the_same_positions(log: Log) -> None:
    log.write(run_line(1), b"bad 1\n")
    log.take()
    log.rotate()
    log.write(b"bad 2\n", run_line(2))
    with killed_at("rejects committed"):
        log.take()
    # The one that was finished is gone.
    log.rotated(1).unlink()
    log.write(run_line(3))
    log.take()
    assert log.students() == [(0, 1), (SIZE + 12, 2), (2 * SIZE + 12, 3)]
    assert log.rejected() == [(SIZE, "bad 1"), (SIZE + 6, "bad 2")]


def test_dying_after_a_truncation_was_recorded_does_not_record_it_twice(log: Log) -> None:
    log.write(run_line(1))
    log.take()
    log.truncate()
    log.write(b"bad\n", run_line(2))
    with killed_at("rejects committed"):
        log.take()
    log.write(run_line(3))
    log.take()
    assert log.students() == [(0, 1), (SIZE + 5, 2), (2 * SIZE + 5, 3)]
    assert log.rejected() == [(SIZE, ""), (SIZE + 1, "bad")]


def test_positions_of_rejected_lines_are_not_given_again_after_a_truncation(log: Log) -> None:
    log.write(run_line(1))
    log.take()
    log.write(b"bad 1\n", run_line(2))
    with killed_at("rejects committed"):
        log.take()
    log.truncate()
    log.write(b"bad 2\n", run_line(3))
    log.take()
    lost = 2 * SIZE + 6
    assert log.students() == [(0, 1), (lost + 1 + 6, 3)]
    assert log.rejected() == [(SIZE, "bad 1"), (lost, ""), (lost + 1, "bad 2")]
    assert f"from position {SIZE} on" in log.rejected("reason")[-1][0]


def test_a_truncation_right_after_one_that_was_recorded(log: Log) -> None:
    log.write(run_line(1))
    log.take()
    log.truncate()
    log.write(run_line(2))
    with killed_at("rejects committed"):
        log.take()
    log.truncate()
    log.write(run_line(3))
    log.take()
    assert log.students() == [(0, 1), (2 * SIZE + 2, 3)]
    assert log.rejected() == [(SIZE, ""), (2 * SIZE + 1, "")]


def test_a_copy_that_lacks_what_only_the_rejected_records_hold(
    log: Log,
) -> None:
    log.write(run_line(1))
    log.take()
    log.part = 1000
    log.write(run_line(2))
    copied = log.path.read_bytes()
    log.write(b"bad 1\n")
    with killed_at("rejects committed"):
        log.take()
    log.truncate()
    log.rotated(1).write_bytes(copied)
    log.write(run_line(3))
    log.take()
    end = 2 * SIZE + 6
    assert log.students() == [(0, 1), (SIZE, 2), (end + 1, 3)]
    assert log.rejected() == [(2 * SIZE, "bad 1"), (end, "")]


def test_either_table_may_be_lost(log: Log) -> None:
    log.write(run_line(1), b"bad\n")
    log.take()
    lake = folder_of(log.lake.folder)
    (lake / "rejected_records").rename(lake.parent / "rejected_records")
    log.write(run_line(2), b"worse\n")
    log.take()
    assert log.students() == [(0, 1), (SIZE + 4, 2)]
    assert log.rejected() == [(2 * SIZE + 4, "worse")]
    (lake / "test_runs").rename(lake.parent / "test_runs")
    log.write(run_line(3))
    log.take()
    assert log.students() == [(0, 1), (SIZE + 4, 2), (2 * SIZE + 10, 3)]
    assert log.rejected() == [(2 * SIZE + 4, "worse")]


Step = tuple[str, bytes]

# A catch-up that dies after a commit: odd ones are of rejected records.
DEATHS = ("die 1", "die 2", "die 3")

good_lines = st.builds(run_line, st.integers(0, 9), st.integers(0, 9))
titled_lines = st.builds(
    lambda title: f'{{"result": "1/2", "student_id", 1, "lesson_title": "{title}"}}\n'.encode(),
    st.sampled_from(["Ü", "日本", "a, b", "\N{PILE OF POO}"]),
)
odd_lines = st.one_of(
    st.sampled_from([b"\n", b"\n", b" \r\n", b"bad\n", b"\xff\n", b"a\rb\n", b"\0\n", b"\x01\n"]),
    st.binary(max_size=6).map(lambda content: content + b"\n"),
)
any_lines = st.lists(st.one_of(good_lines, titled_lines, odd_lines), min_size=1, max_size=15)


# A log that was truncated and has grown again cannot be told from one that only grew if it begins
# with the same lines.
unlike_lines = st.lists(st.booleans(), min_size=1, max_size=15).map(
    lambda kinds: [
        run_line(number) if is_good else b"bad %d\n" % number
        for number, is_good in enumerate(kinds)
    ]
)


@st.composite
def cut_steps(
    draw: st.DrawFn, contents: st.SearchStrategy[list[bytes]], others: Sequence[str]
) -> list[Step]:
    """Writes of arbitrary parts of some lines, and other steps in between."""
    content = b"".join(draw(contents))
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), min_size=1, max_size=6)))
    steps: list[Step] = []
    for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        steps.append(("write", content[begin:end]))
        steps += [(other, b"") for other in draw(st.lists(st.sampled_from(others), max_size=3))]
    return steps


@contextmanager
def log_in_small_parts() -> Iterator[Log]:
    """A log of which a part is a few lines."""
    with TemporaryDirectory() as folder:
        yield Log(Path(folder), is_given=False, part=200)


def do(log: Log, step: Step) -> None:
    name, content = step
    if name == "write":
        log.write(content)
    elif name.startswith("die "):
        part, point = divmod(int(name.removeprefix("die ")) - 1, 2)
        with suppress(Killed), dying_at(("rejects committed", "rows committed")[point], part + 1):
            log.take()
    else:
        getattr(log, name)()


def take_all(steps: list[Step]) -> None:
    """Do the steps, take what is left, and expect every line in the files of the log once."""
    with log_in_small_parts() as log:
        for step in steps:
            do(log, step)
        log.take()
        assert (log.rows(), log.rejected()) == expected(log.contents())


@settings(max_examples=4, deadline=None)
@given(cut_steps(any_lines, ["take", *DEATHS, "rotate"]))
def test_of_a_log_that_is_rotated_nothing_is_lost(steps: list[Step]) -> None:
    take_all(steps)


@settings(max_examples=4, deadline=None)
@given(cut_steps(unlike_lines, ["take", *DEATHS, "rotate", "rotate_by_copy"]))
def test_of_a_log_that_is_copied_before_it_is_truncated_nothing_is_lost(steps: list[Step]) -> None:
    take_all(steps)


@settings(max_examples=4, deadline=None)
@given(cut_steps(unlike_lines, ["take", *DEATHS, "truncate"]))
def test_of_a_log_that_is_truncated_what_was_complete_last_time_is_there_once(
    steps: list[Step],
) -> None:
    with log_in_small_parts() as log:
        complete: set[int] = set()
        for step in [*steps, ("take", b"")]:
            do(log, step)
            if step[0] == "take":
                found = (values_of(line) for _, line in lines_of(log.contents()))
                complete |= {values[0] for values in found if values}
        students = [student for _, student in log.students()]
        assert len(set(students)) == len(students)
        assert set(students) >= complete
        positions = log.rows("log_position") + log.rejected("position")
        assert len(set(positions)) == len(positions)
