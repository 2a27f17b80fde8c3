"""Which inbox files are the forum's, and how each kind of them is read."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
from sqlalchemy import Table

from warehouse_assets.defs.forum.tables import POSTS, VOTES
from warehouse_assets.ingest.file_kinds import FileKind
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingest.json_files import stage_json_files
from warehouse_assets.ingest.json_layout import first_fields
from warehouse_assets.ingest.staging import create_stage
from warehouse_assets.ingest.units import Unit, reject_unit
from warehouse_assets.lake import LakeTable, WrittenFile

_PLAIN = (".json", ".jsonl", ".ndjson")
SUFFIXES = tuple(suffix + packed for suffix in _PLAIN for packed in ("", ".gz"))
UNRECOGNISED = "unrecognised"


def holds(file: InboxFile) -> str | None:
    """What a file holds: `posts`, `votes` or `unrecognised`; None if it is not the forum's.

    Its name tells; if it does not, the fields of its first record do.
    """
    name = file.name.lower()
    if not name.endswith(SUFFIXES):
        return None
    for table in (POSTS, VOTES):
        if name.startswith(table.name):
            return str(table.name)
    fields = first_fields(file.path)
    if "PostId" in fields:
        return str(VOTES.name)
    if {"Id", "CreationDate"} <= fields:
        return str(POSTS.name)
    return UNRECOGNISED


def _kind(table: Table) -> FileKind:
    name = str(table.name)
    takes = f"{name} (.json, .jsonl or .ndjson, also .gz; by the name {name}… or by the fields)"
    return FileKind(
        name,
        table,
        lambda file: holds(file) == name,
        stage_json_files,
        takes=takes,
        suffixes=_PLAIN,
    )


def _reject_all(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable | None,
    units: Sequence[Unit],
    spool: Path,
) -> Sequence[WrittenFile]:
    del table, spool
    create_stage(connection, None)
    for unit in units:
        reason = (
            "neither posts nor votes: name the file posts… or votes…, "
            "or give its records the fields of one of them"
        )
        reject_unit(connection, unit, reason)
    return []


POSTS_FILES = _kind(POSTS)
VOTES_FILES = _kind(VOTES)
UNRECOGNISED_FILES = FileKind(
    UNRECOGNISED, None, lambda file: holds(file) == UNRECOGNISED, _reject_all
)
