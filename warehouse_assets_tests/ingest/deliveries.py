"""Delivering files in a set order and catching up with them, without Dagster."""

import os
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from warehouse_assets.defs.forum.family import VOTES_FILES
from warehouse_assets.ingest.file_kinds import FileKind
from warehouse_assets.ingest.files import load_files
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House


def deliver(house: House, name: str, content: Any, at: int) -> Path:
    """Put a file into the inbox that arrived as the `at`-th."""
    path = house.deliver(name, content)
    os.utime(path, ns=(0, (1_600_000_000 + at) * 10**9))
    return path


def take(house: House, kind: FileKind = VOTES_FILES, **more: Any) -> Loaded:
    """Catch up with the files of one kind, of votes unless told otherwise."""
    return load_files(house.lake, house.inbox, kind, **more)


def tables(house: House) -> dict[str, Any]:
    """What a house holds in the end, but for the time of a rejection."""
    return {
        "posts": house.stored("posts", "id, creation_date, score, body, arrival"),
        "votes": house.stored("votes", "id, post_id, vote_type_id, creation_date, arrival"),
        "rejected": house.rejected(),
        "archive": house.archived(),
        "inbox": house.waiting(),
    }


def commits(house: House, table: str) -> int:
    """How many commits a table of the lake has had; its creation is one."""
    return int(DeltaTable(str(folder_of(house.settings.lake) / table)).version()) + 1
