"""Files that arrive by chance, round by round, for questions about what was."""

import random
import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from warehouse_assets.times import utc_now
from warehouse_assets_tests.house import Home, post, vote

Files = dict[str, Sequence[dict[str, Any]]]

_MONDAY = date(2022, 1, 3)


def files_of_a_round(chance: random.Random, number: int) -> Files:
    """Posts and votes: new ones, corrected ones, some with faults, some for weeks far away."""

    def day() -> str:
        return str(_MONDAY + timedelta(days=chance.choice([0, 1, 2, 8, 9, 30, -20])))

    posts = [post(chance.randrange(8), day()) for _ in range(chance.randrange(4))]
    votes: list[dict[str, Any]] = [
        vote(chance.randrange(30), chance.randrange(8), day())
        for _ in range(chance.randrange(1, 9))
    ]
    if chance.random() < 0.5:
        votes.append({"Id": f"bad {number}"})
    return {f"posts-{number}.jsonl": posts, f"votes-{number}.jsonl": votes}


def deliver(home: Home, files: Files) -> None:
    """Put the files of a round into the inbox."""
    for name, records in files.items():
        home.deliver(name, records)


def moment() -> str:
    """A time that all so far is before, and all that follows after: of either by a millisecond."""
    time.sleep(0.002)
    now = utc_now().isoformat()
    time.sleep(0.002)
    return now
