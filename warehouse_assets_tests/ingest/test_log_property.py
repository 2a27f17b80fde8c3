"""Whatever is written, whenever it is taken and however it is rotated: every line once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets_tests.crashes import Killed, dying_at
from warehouse_assets_tests.defs.school.line_model import expected, lines_of, values_of
from warehouse_assets_tests.ingest.logs import Log, run_line

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
