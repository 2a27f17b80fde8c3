"""Everything a warehouse holds, for comparing one with another."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from warehouse_assets.tables import column_names, identifiers
from warehouse_assets_tests.house import FORUM, Home, House, post, vote

State = dict[str, Any]


def state_of(house: Home, of: Sequence[Table] = FORUM) -> State:
    """The rows of the tables `of`, without times of rejection, and the files."""
    tables = {}
    for table in of:
        names = [name for name in column_names(table) if name != "rejected_at"]
        tables[str(table.name)] = house.stored(str(table.name), identifiers(names))
    published = {}
    for name in (str(table.name) for table in of if house.settings.publishes(table)):
        rows = house.published(name)
        published[name] = [row[:-1] for row in rows] if name == "rejected_records" else rows
    return {
        "lake": tables,
        "warehouse": published,
        "inbox": house.waiting(),
        "archive": house.archived(),
    }


def _at(second: int, *paths: Path) -> None:
    """Let the files have arrived at known times, one after the other."""
    for number, path in enumerate(paths):
        os.utime(path, (second + number, second + number))


def deliver_first(house: House) -> None:
    """A first delivery: 3 posts, 4 votes, a rejected record each."""
    _at(
        1_700_000_000,
        house.deliver("posts-1.jsonl", [post(1), post(2), {"Id": "x"}, post(3, "2022-01-12")]),
        house.deliver("votes-1.jsonl", [vote(1, 1), vote(2, 1), vote(3, 2), {"Id": "x"}]),
        house.deliver("votes-2.jsonl", [vote(3, 2), vote(4, 3, "2022-01-17")]),
    )


def deliver_second(house: House) -> None:
    """A second delivery: it changes posts and votes, adds some, and brings unusable records."""
    _at(
        1_700_001_000,
        house.deliver("posts-3.jsonl", [post(2, Score="7"), post(4, "2022-01-20")]),
        house.deliver("votes-3.jsonl", [vote(1, 4), vote(5, 2), {"Id": "y"}]),
        house.deliver("votes-4.jsonl", [vote(5, 3), vote(6, 1, "2022-02-01"), {"Id": "z"}]),
        house.deliver("strange.json", '{"name": "neither"}'),
    )
