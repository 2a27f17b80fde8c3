"""Records of any length, and packed files of any content, take no more memory than usual ones."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest import overlong
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.ingest.staging import stage, vote_text

_PROJECT = Path(__file__).parents[2]
_MOST_MEMORY = 300 * 2**20
"""What reading takes beside that of a small file, in bytes; DuckDB's buffers are 200 MiB of it."""


def test_an_overlong_record_is_rejected_within_little_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", overlong.__name__, str(tmp_path)],
        cwd=_PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)

    long = "longer than 16 MiB"
    found: dict[str, Any] = answer["found"]
    assert found["line.jsonl"] == [[7, 7], [[2, long, 1000]]]
    assert found["packed.json.gz"] == [[7], [[1, long, 1000]]]
    # An array is one unit, of which nothing is taken.
    assert found["element.json"] == [[], [[0, f"not a whole JSON array: a record is {long}", 1000]]]
    assert found["nothing.json"][0] == []
    assert found["nothing.json"][1][0][:2] == [
        0,
        "not a whole JSON array: it does not end with a bracket",
    ]
    assert answer["memory"] < _MOST_MEMORY


def test_a_line_of_blanks_is_nothing_however_long(tmp_path: Path) -> None:
    good = b"\n" + vote_text(1).encode() + b"\n"
    staged = stage(tmp_path, b" " * (17 << 20) + good + b"\t" * (17 << 20))
    assert (staged.ids, staged.rejected) == ([1], [])


def test_a_packed_file_that_unpacks_to_too_much_is_rejected_as_a_whole(house: House) -> None:
    votes = "".join(json.dumps(vote(n, 1)) + "\n" for n in range(20)).encode()
    trips = b"region,origin_coord,destination_coord,datetime,datasource\n"
    trips += b"Turin,POINT (1 2),POINT (3 4),2018-05-28 09:03:40,x\n"
    house.deliver("votes-great.json.gz", gzip.compress(votes))
    house.deliver("votes-small.json.gz", gzip.compress(votes[: votes.index(b"\n")]))
    house.deliver("votes-plain.json", votes)
    house.deliver("trips-great.csv.gz", gzip.compress(trips + trips[58:] * 20))
    house.deliver("trips-small.csv.gz", gzip.compress(trips))
    house.inbox = Inbox(house.settings.inbox, house.settings.archive, 0, unpacked_limit=1000)
    take(house)
    take(house, TRIPS_FILES)

    assert len(house.stored("votes")) == 20
    assert len(house.stored("trips")) == 1
    reason = "the compressed file unpacks to more than 1,000 bytes (setting UNPACKED_LIMIT)"
    assert sorted((row[0], row[1].split("-")[-1], *row[2:4]) for row in house.rejected()) == [
        ("trips", "great.csv.gz", 0, reason),
        ("votes", "great.json.gz", 0, reason),
    ]
