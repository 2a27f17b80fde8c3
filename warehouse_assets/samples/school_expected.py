"""What the answers about a sample school must be, computed from its ledger in plain Python.

It shares nothing with the warehouse: a test holds the one against the other. The sources hold
what the ledger holds after a simulation was stopped; after one was killed, once `SchoolWriter`
was opened (and closed) over the same places.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_ENOUGH_LESSONS = 3

BatchCompletion = tuple[int, int, int]


def expected_batch_completions(ledger: Path) -> list[BatchCompletion]:
    """Batch, its students, and those of them that completed at least 3 different lessons.

    The most of those come first; of as many the lower batch number.
    """
    with _rows(ledger) as connection:
        completed: defaultdict[int, set[int | str]] = defaultdict(set)
        lesson_of_title = _lessons_of_titles(connection)
        for student, lesson, title, passed, total in connection.execute(
            "SELECT student_id, lesson_id, lesson_title, passed, total FROM runs"
        ):
            if passed == total:
                is_known = lesson is not None
                completed[student].add(lesson if is_known else lesson_of_title.get(title, title))
        batches = {number: [0, 0] for (number,) in connection.execute("SELECT id FROM batches")}
        for student, batch in connection.execute("SELECT id, batch_id FROM students"):
            if batch in batches:
                batches[batch][0] += 1
                batches[batch][1] += len(completed.get(student, ())) >= _ENOUGH_LESSONS
    rows = [(batch, students, finished) for batch, (students, finished) in batches.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def expected_ranks(completions: Iterable[BatchCompletion]) -> dict[int, int]:
    """The rank of each batch: one more than there are batches with more such students."""
    rows = list(completions)
    counts = sorted((finished for _, _, finished in rows), reverse=True)
    return {batch: counts.index(finished) + 1 for batch, _, finished in rows}


def _lessons_of_titles(connection: sqlite3.Connection) -> dict[str, int]:
    """Of each title the number that came with it last."""
    return dict(
        connection.execute(
            "SELECT lesson_title, lesson_id FROM runs "
            "WHERE lesson_title IS NOT NULL AND lesson_id IS NOT NULL ORDER BY position"
        )
    )


@contextmanager
def _rows(ledger: Path) -> Iterator[sqlite3.Connection]:
    """The ledger as it is at one moment, however it goes on."""
    with closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        connection.execute("BEGIN")
        yield connection
