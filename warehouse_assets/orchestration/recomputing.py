"""The job that computes weeks anew, whatever tables remember: after a mistake was put right, say.

Catching up computes what changed. This job computes all rows of a range of weeks from what the
tables hold that they are computed from, and commits and publishes what differs. A run is of one
week, as a backfill starts them, or of a range of weeks that Dagster's tags of a range name.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.assets import TableAsset
from warehouse_assets.orchestration.step import Step, in_step
from warehouse_assets.settings import Settings
from warehouse_assets.tables import week_of
from warehouse_assets.times import Weeks
from warehouse_assets.warehouse import Warehouse

RECOMPUTE_WEEKS = "recompute_weeks"
"""The name of the job."""

# From the first Monday of the earliest year that checks of times take for plausible.
_EVERY_WEEK = dg.WeeklyPartitionsDefinition("1990-01-01", day_offset=1, end_offset=1)
_RANGE = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def tags_of(weeks: Weeks) -> Mapping[str, str]:
    """The tags of a run of the job for a range of weeks."""
    return dict(zip(_RANGE, (str(weeks.first), str(weeks.last)), strict=True))


def recompute_job(tables: Sequence[TableAsset]) -> dg.JobDefinition:
    """The job: a step for each computed table that has weeks, and for what follows from these.

    Args:
        tables: all there are, each after those that it is computed from.
    """
    chosen = list(_with_weeks(tables))
    names = {asset.table.name for asset in chosen}
    before = {
        _name(asset): {
            str(read.name): dg.DependencyDefinition(f"recompute_{read.name}")
            for read in asset.reads
            if read.name in names
        }
        for asset in chosen
    }
    graph = dg.GraphDefinition(
        RECOMPUTE_WEEKS,
        description="Computes chosen weeks of all tables that have any anew, whatever has changed, "
        "and commits and publishes what differs.",
        node_defs=[_op(asset, before[_name(asset)]) for asset in chosen],
        dependencies=before,
    )
    return graph.to_job(partitions_def=_EVERY_WEEK, executor_def=dg.in_process_executor)


def _with_weeks(tables: Sequence[TableAsset]) -> Iterator[TableAsset]:
    follows = set[str]()
    for asset in tables:
        reads = {str(read.name) for read in asset.reads}
        if asset.make and (week_of(asset.table) or follows & reads):
            follows.add(str(asset.table.name))
            yield asset


def _name(asset: TableAsset) -> str:
    return f"recompute_{asset.table.name}"


def _op(asset: TableAsset, after: Mapping[str, Any]) -> dg.OpDefinition:
    table, make = asset.table, asset.make
    assert make is not None

    @dg.op(
        name=_name(asset),
        description=f"Computes weeks of {table.name} anew."
        if week_of(table)
        else f"Brings {table.name} up to date, which has no weeks.",
        ins={name: dg.In(dg.Nothing) for name in after},
        out=dg.Out(dg.Nothing),
    )
    def recompute(
        context: dg.OpExecutionContext,
        lake: dg.ResourceParam[Lake],
        inbox: dg.ResourceParam[Inbox],
        warehouse: dg.ResourceParam[Warehouse],
        settings: dg.ResourceParam[Settings],
    ) -> None:
        with in_step(context):
            window = context.partition_time_window
            weeks = Weeks.of(window.start.date(), (window.end - timedelta(days=1)).date())
            anew = weeks if week_of(table) else None
            made = make(Step(context, lake, inbox, warehouse, settings, anew))
            metadata = {**(made.metadata or {}), **({"weeks": str(weeks)} if anew else {})}
            context.log_event(dg.AssetMaterialization(str(table.name), metadata=metadata))

    return recompute
