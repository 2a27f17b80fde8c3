"""A day's votes into a table of years, in files by week and not, and what follows from them."""

from pathlib import Path

from benchmarks.context import Context
from benchmarks.subjects.homes import copy_home, settings_of
from warehouse_assets.defs import forum
from warehouse_assets.defs.forum.tables import VOTES, VOTES_PER_POST_PER_WEEK
from warehouse_assets.lake import Lake, append, merge
from warehouse_assets.orchestration.computation import Part, compute

_WEEKS = 200
_SQL = Path(forum.__path__[0]) / "sql" / "votes_per_post_per_week.sql"


def template(context: Context, weeks: str) -> None:
    """Make a lake of votes over four years, and of the votes of each post and week."""
    lake = _lake(context.templates / f"weeks-{weeks}", weeks)
    (context.templates / f"weeks-{weeks}" / "archive").mkdir(parents=True, exist_ok=True)
    table = lake.table(VOTES)
    with lake.connect() as connection:
        query = f"SELECT {_columns(context)}, 1 AS arrival FROM range({context.data.votes}) AS r(i)"
        append(connection, table, table.open(), query, {"file/1": 1})
    _compute(lake)


def merge_and_compute(context: Context, weeks: str) -> None:
    """Measure merging a delivery, half new and half corrections of four weeks, and computing."""
    copy_home(context.templates / f"weeks-{weeks}", context.folder / "home")
    lake = _lake(context.folder / "home", weeks)
    table, votes, half = lake.table(VOTES), context.data.votes, context.data.changes // 2
    step = max(votes * 4 // _WEEKS // half, 1)
    with lake.connect() as connection:
        connection.execute(
            f"""CREATE TEMP TABLE delivered AS
            SELECT {_columns(context).replace("2 AS vote", "3 AS vote")}, 2 AS arrival FROM (
                SELECT {votes} - 1 - j * {step} AS i FROM range({half}) AS r(j)
                UNION ALL SELECT {votes} + j FROM range({half}) AS r(j))"""
        )
        with context.measuring():
            merge(connection, lake, table, table.open(), "delivered", {"file/2": 2}, "arrival")
            changed = _compute(lake)
    assert changed > 0
    written = [path for path in lake.folder.rglob("*.parquet") if path.stat().st_nlink == 1]
    context.details["MB written"] = sum(path.stat().st_size for path in written) / 1e6


def _lake(home: Path, weeks: str) -> Lake:
    settings = settings_of(home)
    return Lake(settings.lake, settings.scratch, settings.memory_limit, is_by_week=weeks == "yes")


def _columns(context: Context) -> str:
    seconds = f"i * {_WEEKS * 604_800} // {context.data.votes}"
    return f"""i AS id, 1 + i * 7919 % 250000 AS post_id, 2 AS vote_type_id, NULL AS user_id,
        NULL AS bounty_amount, TIMESTAMP '2022-01-03' + to_seconds({seconds}) AS creation_date"""


def _compute(lake: Lake) -> int:
    part = Part("post_id", is_of_week=True)
    table = lake.table(VOTES_PER_POST_PER_WEEK)
    return compute(lake, table, [VOTES], _SQL.read_text("utf-8"), part).rows_changed
