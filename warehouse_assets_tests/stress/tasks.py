"""What the forked processes do with a warehouse; nothing here may be called before forking."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from warehouse_assets.defs.trips.tables import TABLES as TRIPS_TABLES
from warehouse_assets.lake import maintain
from warehouse_assets.runs import failed_steps
from warehouse_assets_tests.house import FORUM, Home, House
from warehouse_assets_tests.integration.state import State, state_of
from warehouse_assets_tests.stress.deliveries import File

UNDER_FIRE = (*FORUM, *TRIPS_TABLES)

# Damage is wanted here, in any amount.
ENVIRONMENT = {"REJECTED_SHARE_LIMIT": "1"}


@dataclass(frozen=True)
class Outcome:
    """What is there in the end: contents, the lake's versions, files that no version has."""

    state: State
    votes: list[tuple[Any, ...]]
    versions: dict[str, int]
    orphans: int
    leftovers: list[str]


def run(
    home: Path, of: Sequence[Table] = UNDER_FIRE, checks: bool = True, by_week: bool = False
) -> None:
    """Run the graph of the families that files are delivered for; its checks must succeed."""
    with dg.DagsterInstance.ephemeral() as instance:
        run_in(House(home, instance, **_environment(by_week)), of, checks)


def _environment(by_week: bool) -> dict[str, str]:
    return {**ENVIRONMENT, "PARTITION_BY_WEEK": "yes" if by_week else "no"}


def run_in(
    house: House, of: Sequence[Table] = UNDER_FIRE, checks: bool = True
) -> dg.ExecuteInProcessResult:
    """The same with the history that `house` has."""
    result = house.run(*(str(table.name) for table in of), checks=checks)
    if not result.success:
        failed = [e for e in result.get_asset_check_evaluations() if not e.passed]
        raise AssertionError(f"a run failed: {failed_steps(result)} {failed}")
    return result


def maintained(home: Path, keep_days: int = 0, by_week: bool = False) -> None:
    """Maintain every table of the lake that there is, and the warehouse."""
    house = Home(home, **_environment(by_week))
    for table in UNDER_FIRE:
        stored = house.lake.table(table)
        if stored.exists():
            maintain(house.lake, stored, keep_days)
    house.warehouse.maintain()


def outcomes(
    home: Path, of: Sequence[Table] = UNDER_FIRE, maintains: bool = False
) -> tuple[Outcome, Outcome]:
    """What a run that is not disturbed leaves, maintained or not, and then a further one."""
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance, **ENVIRONMENT)
        run_in(house, of, checks=False)
        if maintains:
            maintained(home)
        last = outcome_of(house, of)
        run_in(house, of, checks=False)
        return last, outcome_of(house, of)


def outcome_of(house: Home, of: Sequence[Table] = UNDER_FIRE) -> Outcome:
    """What is there now."""
    columns = "id, post_id, vote_type_id, user_id, creation_date, arrival"
    home = house.settings.home
    partial = [*home.glob("tmp/*"), *home.glob("archive/**/.*"), *home.glob("inbox/.*")]
    return Outcome(
        state_of(house, of),
        sorted(house.stored("votes", columns), key=itemgetter(0)),
        house.versions(),
        sum(_orphans(house, table) for table in of),
        [str(path) for path in partial],
    )


def _orphans(house: Home, table: Table) -> int:
    """How many Parquet files lie beside those of the newest version; changes' files aside."""
    stored = house.lake.table(table)
    known = set(stored.files(stored.open()))
    there = [*stored.path.glob("*.parquet"), *stored.path.glob("week=*/*.parquet")]
    return len({str(path) for path in there} - known)


def undisturbed(home: Path, deliveries: Sequence[Sequence[File]]) -> Outcome:
    """Take the deliveries one after the other, a run after each."""
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance, **ENVIRONMENT)
        for delivery in deliveries:
            for file in delivery:
                file.put(house.settings.inbox)
            run_in(house, checks=False)
        return outcome_of(house)


def armed(task: Callable[[], None], arm: Callable[[], None]) -> None:
    """Do `task` in a process that is to die in it."""
    arm()
    task()
