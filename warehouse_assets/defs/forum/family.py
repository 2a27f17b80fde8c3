"""The forum: posts and votes, in files of the inbox."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
from sqlalchemy import Table

from warehouse_assets.defs.forum.tables import (
    MEAN_VOTES_PER_POST_PER_WEEK,
    OUTLIER_WEEKS,
    POSTS,
    VOTES,
    VOTES_PER_POST_PER_WEEK,
)
from warehouse_assets.ingest.file_kinds import FORMATS, FileKind, Unit, reject_unit
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingest.json_files import first_fields, stage_json_files
from warehouse_assets.ingest.staging import create_stage
from warehouse_assets.lake import LakeTable, WrittenFile
from warehouse_assets.orchestration.assets import file_asset, sql_asset
from warehouse_assets.orchestration.checks import Check
from warehouse_assets.orchestration.families import Family
from warehouse_assets.orchestration.standard_checks import (
    adds_up,
    no_rows,
    times_are_plausible,
    values_are_plausible,
)

SUFFIXES = tuple(suffix + packed for suffix in FORMATS["json"].suffixes for packed in ("", ".gz"))
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


def _dates_are_plausible(table: Table) -> Check:
    # The supplier's software did not exist before 2008.
    return times_are_plausible(
        table.c.creation_date, 2008, "id, creation_date", "dates_are_plausible"
    )


CHECKS: dict[Table, list[Check]] = {
    POSTS: [
        _dates_are_plausible(POSTS),
        no_rows(
            "answers_have_questions",
            "parent_id is a known post.",
            """SELECT answers.id, answers.parent_id FROM posts AS answers
            ANTI JOIN posts AS questions ON answers.parent_id = questions.id
            WHERE answers.parent_id IS NOT NULL""",
            is_warning=True,
        ),
        no_rows(
            "counts_are_not_negative",
            "view_count, answer_count, comment_count and favorite_count are 0 or more.",
            """SELECT id, view_count, answer_count, comment_count, favorite_count FROM posts
            WHERE view_count < 0 OR answer_count < 0 OR comment_count < 0 OR favorite_count < 0""",
            is_warning=True,
        ),
    ],
    VOTES: [
        _dates_are_plausible(VOTES),
        no_rows(
            "posts_are_known",
            "post_id is a known post; votes may arrive before their posts.",
            "SELECT id, post_id, creation_date FROM votes ANTI JOIN posts ON post_id = posts.id",
            reads=[POSTS],
            is_warning=True,
        ),
    ],
    VOTES_PER_POST_PER_WEEK: [
        values_are_plausible(
            VOTES_PER_POST_PER_WEEK,
            "votes is 1 or more and week_start is a Monday.",
            "votes < 1 OR isodow(week_start) <> 1",
        ),
        adds_up(VOTES_PER_POST_PER_WEEK.c.votes, VOTES),
    ],
    MEAN_VOTES_PER_POST_PER_WEEK: [
        values_are_plausible(
            MEAN_VOTES_PER_POST_PER_WEEK,
            "Weeks begin on Mondays; no count is negative; a post voted on has a vote at least.",
            """isodow(week_start) <> 1 OR posts_voted_on < 0 OR votes < posts_voted_on
                OR posts_existing < 0 OR mean_votes_per_post_voted_on < 1
                OR mean_votes_per_post_existing < 0""",
        ),
        no_rows(
            "no_week_is_missing",
            "Each week begins seven days after the one before.",
            """SELECT * FROM (
                SELECT week_start, lag(week_start) OVER (ORDER BY week_start) AS week_before
                FROM mean_votes_per_post_per_week)
            WHERE week_start - week_before <> 7""",
        ),
    ],
    OUTLIER_WEEKS: [
        values_are_plausible(
            OUTLIER_WEEKS,
            "week_number is from 0 to 53, votes is 1 or more and week_start is a Monday.",
            "week_number NOT BETWEEN 0 AND 53 OR votes < 1 OR isodow(week_start) <> 1",
        ),
    ],
}


_SQL = Path(__file__).parent / "sql"


FAMILY = Family(
    "forum",
    [
        file_asset(POSTS_FILES, "json"),
        file_asset(VOTES_FILES, "json"),
        sql_asset(VOTES_PER_POST_PER_WEEK, [VOTES], _SQL, computed_per="post_id", is_of_week=True),
        sql_asset(MEAN_VOTES_PER_POST_PER_WEEK, [POSTS, VOTES_PER_POST_PER_WEEK], _SQL),
        sql_asset(OUTLIER_WEEKS, [VOTES], _SQL),
    ],
    CHECKS,
    other_files=[UNRECOGNISED_FILES],
)
