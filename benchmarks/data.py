"""The data of the benchmarks: the same sizes give the same bytes, whatever machine makes them.

Votes fall evenly on posts and weeks: 20 for each post, spread over a year. That is the hardest
shape for `votes_per_post_per_week`, which then has nearly as many rows as there are votes. Trips
are those of the samples, without damage, and in no order.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from warehouse_assets.samples.files import make_files
from warehouse_assets.samples.trips import write_trips

VOTES_PER_POST = 20
_SEED = 1
_POST = """json_object('Id', i::VARCHAR, 'PostTypeId', '1', 'Score', (i % 17)::VARCHAR,
    'OwnerUserId', (1 + i % 9973)::VARCHAR, 'Title', 'Question ' || i, 'Body', repeat('Text. ', 20),
    'CreationDate', strftime(TIMESTAMP '2021-12-27' + to_seconds(i % 604800),
        '%Y-%m-%dT%H:%M:%S.000'))"""
# As the producers write it, with a comma where a colon belongs; a tenth carries the title, too.
_RUN = """'{"result": "' || i * 7919 % 8 || CASE WHEN i % 3 = 0 THEN '/7' ELSE ' out of 7' END ||
    '", "student_id", ' || (1 + i * 104729 % 50000) || ', "lesson_id": "' || (1 + i % 300) || '"' ||
    CASE WHEN i % 10 = 0 THEN ', "lesson_title": "Lesson ' || (1 + i % 300) || '"' ELSE '' END ||
    '}'"""


@dataclass(frozen=True)
class Data:
    """The files of one size, all in `folder`; they are made when they are not there.

    Args:
        votes: how many votes the large file has.
        trips: how many trips the large file has.
    """

    folder: Path
    votes: int
    trips: int

    @property
    def changes(self) -> int:
        """How many votes a delivery has: half of them new, half of them known ids changed."""
        return max(self.votes // 500, 10)

    @property
    def posts(self) -> int:
        """How many posts there are."""
        return max(self.votes // VOTES_PER_POST, 1)

    @property
    def votes_file(self) -> Path:
        """All votes, as JSON lines."""
        return self.folder / f"votes-{self.votes}.jsonl"

    @property
    def posts_file(self) -> Path:
        """All posts, as JSON lines."""
        return self.folder / f"posts-{self.votes}.jsonl"

    @property
    def delivery_file(self) -> Path:
        """A delivery of votes, as JSON lines."""
        return self.folder / f"votes-delivery-{self.votes}.jsonl"

    @property
    def lines(self) -> int:
        """How many lines the log of test runs has."""
        return self.votes * 2

    @property
    def log_file(self) -> Path:
        """The log of test runs."""
        return self.folder / f"test_runs-{self.votes}.log"

    @property
    def reviews(self) -> int:
        """How many reviews there are."""
        return max(self.votes // 5, 100)

    @property
    def trips_file(self) -> Path:
        """All trips, as CSV."""
        return self.folder / f"trips-{self.trips}.csv"

    @property
    def next_trips(self) -> int:
        """How many trips the next file has: a million, but never more than the first."""
        return min(self.trips, 1_000_000)

    @property
    def next_trips_file(self) -> Path:
        """More trips, of the same two years, as CSV."""
        return self.folder / f"trips-next-{self.trips}.csv"

    def filled(self, text: str) -> str:
        """`text` with the sizes in it: for `{votes}` how many votes there are, and so on."""
        names = ("votes", "changes", "reviews", "trips", "next_trips")
        return text.format(**{name: f"{getattr(self, name):,}" for name in names})

    def make_nothing(self) -> None:
        """Make no file: what is measured makes its own data."""

    def make_trips(self) -> None:
        """Make the files of trips that are not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        first = partial(write_trips, rows=self.trips, seed=_SEED)
        make_files([self.trips_file], first)
        further = partial(write_trips, rows=self.next_trips, seed=_SEED, number=self.trips)
        make_files([self.next_trips_file], further)

    def make_forum(self) -> None:
        """Make the files of posts, votes and test runs that are not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        half = self.changes // 2
        # Known ids from everywhere in the table.
        known = f"SELECT 1 + j * {max(self.votes // half, 1)} AS i FROM range({half}) AS r(j)"
        new = f"SELECT {self.votes} + 1 + j FROM range({half}) AS r(j)"
        _write(self.votes_file, self._vote("'2'"), f"SELECT i FROM range(1, {self.votes + 1}) r(i)")
        _write(self.posts_file, _POST, f"SELECT i FROM range(1, {self.posts + 1}) AS r(i)")
        _write(self.log_file, _RUN, f"SELECT i FROM range({self.lines}) AS r(i)")
        _write(self.delivery_file, self._vote("'3'"), f"{known} UNION ALL {new}")

    def _vote(self, kind: str) -> str:
        """SQL for the vote `i`; multipliers without common factors scatter posts and days."""
        return f"""json_object('Id', i::VARCHAR, 'PostId', (1 + i * 7919 % {self.posts})::VARCHAR,
            'VoteTypeId', {kind}, 'CreationDate', strftime(TIMESTAMP '2022-01-03' +
                to_days(((i * 104729 + i // {self.posts} * 19) % 364)::INT),
                '%Y-%m-%dT%H:%M:%S.000'))"""


def _write(path: Path, record: str, numbers: str) -> None:
    if path.exists():
        return
    partial = path.with_name(f"{path.name}.part")
    with duckdb.connect() as connection:
        # Quotes and delimiters that do not occur: each record is a line as it is.
        connection.execute(
            f"COPY (SELECT {record} AS record FROM ({numbers})) TO '{partial}' "
            r"(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
        )
    partial.replace(path)
