"""The ways in which a table of the lake is an asset: caught up with its source, or computed.

Materialising either leaves the table in the lake up to date and publishes it. Both can be done
again, and at any time, without changing anything that is up to date.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from warehouse_assets.graph.blocking import declare_reads, refuse_if_blocked
from warehouse_assets.graph.computation import compute, compute_added
from warehouse_assets.graph.failures import in_step
from warehouse_assets.graph.ingestion_steps import publishing, taking_files
from warehouse_assets.graph.metadata import definition_metadata, unknown_metadata
from warehouse_assets.graph.step import Step
from warehouse_assets.lake import Lake, LakeTable, Written
from warehouse_assets.progress import Listener, Progress
from warehouse_assets.settings import Settings
from warehouse_assets.sources.delivery_files import Taken, catch_up
from warehouse_assets.sources.file_kinds import FileKind, left_behind, left_in_words
from warehouse_assets.sources.inbox import Inbox
from warehouse_assets.warehouse import Warehouse

# Of 10,000 small files taken at once not all can be named.
_MOST_UNITS_NAMED = 1000
FOLLOWS_ITS_SOURCES = dg.AutomationCondition.eager()
# Those that collect from all sources follow any: some may never be materialised.
_FOLLOWS_ANY = FOLLOWS_ITS_SOURCES.without(~dg.AutomationCondition.any_deps_missing())
_FOLLOWS_THEM_IF_CHECKED = (
    FOLLOWS_ITS_SOURCES & dg.AutomationCondition.all_deps_blocking_checks_passed()
)


def file_asset(kind: FileKind, group: str, format_name: str) -> dg.AssetsDefinition:
    """The asset of a table that is caught up with delivery files.

    Args:
        format_name: what Dagster shows of them.
    """
    table = kind.table
    if table is None:
        raise TypeError(f"files of the kind {kind.name} have no table")

    @dg.asset(
        name=str(table.name),
        group_name=group,
        description=table.comment,
        kinds={format_name, "deltalake"},
        metadata=definition_metadata(table),
    )
    def asset(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        inbox: dg.ResourceParam[Inbox],
        warehouse: dg.ResourceParam[Warehouse],
        settings: dg.ResourceParam[Settings],
        progress: dg.ResourceParam[Listener],
    ) -> dg.MaterializeResult[Any]:
        with in_step(context):
            step = Step(context.log, lake, warehouse, settings, progress)
            with step.publishing_rejected():
                with taking_files(settings, kind, context.run.run_id) as watch:
                    taken = catch_up(lake, inbox, kind, step.tell, progress, watch)
                _tell_taken(context, taken)
                return step.finish(table, taken.written, taken_metadata(taken))

    return asset


def source_asset(
    table: Table,
    group: str,
    kinds: Sequence[str],
    take: Callable[[Step], tuple[Written, Mapping[str, Any]]],
) -> dg.AssetsDefinition:
    """The asset of a table that is caught up with a source that it looks up in the settings.

    Args:
        kinds: what Dagster shows of the source.
        take: takes what is new; returns what was written and an account of it.
    """

    @dg.asset(
        name=str(table.name),
        group_name=group,
        description=table.comment,
        kinds={*kinds, "deltalake"},
        metadata=definition_metadata(table),
    )
    def asset(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        settings: dg.ResourceParam[Settings],
        progress: dg.ResourceParam[Listener],
    ) -> dg.MaterializeResult[Any]:
        with in_step(context):
            step = Step(context.log, lake, warehouse, settings, progress)
            with step.publishing_rejected():
                written, account = take(step)
                return step.finish(table, written, account)

    return asset


def sql_asset(
    table: Table,
    reads: Sequence[Table],
    group: str,
    folder: Path,
    computed_per: str | None = None,
) -> dg.AssetsDefinition:
    """The asset of a table that one SELECT computes from other tables of the lake.

    Args:
        reads: the tables that the SELECT names.
        folder: where its file `TABLE.sql` is.
        computed_per: a column that the table shares with the first of `reads`, if each of its
            rows follows from the rows there that have the same value in it. Then only values
            of rows that have changed are computed again.
    """
    query = _query(folder, table)
    return _computed_asset(
        table,
        reads,
        group,
        query,
        lambda lake, stored, _settings: compute(lake, stored, reads, query, computed_per),
    )


def added_asset(
    table: Table,
    read: Table,
    group: str,
    folder: Path,
    constants: Callable[[Settings], Mapping[str, float]] = lambda _: {},
) -> dg.AssetsDefinition:
    """The asset of an aggregated table, to which the rows added to another one are added up.

    Args:
        read: the table that the SELECT names; its rows are never changed.
        folder: where its file `TABLE.sql` is.
        constants: what the settings give to the SELECT: columns of the relation `constants`.
    """
    query = _query(folder, table)
    return _computed_asset(
        table,
        [read],
        group,
        query,
        lambda lake, stored, settings: compute_added(
            lake, stored, read, query, constants(settings)
        ),
    )


def _query(folder: Path, table: Table) -> str:
    return (folder / f"{table.name}.sql").read_text(encoding="utf-8")


def _computed_asset(
    table: Table,
    reads: Sequence[Table],
    group: str,
    query: str,
    compute_table: Callable[[Lake, LakeTable, Settings], Written],
) -> dg.AssetsDefinition:
    """The asset of a table that `compute_table` brings up to date while its lock is held.

    It stays as it is while a blocking check of a table that it depends on fails.
    """
    declare_reads(table, reads)

    @dg.asset(
        name=str(table.name),
        group_name=group,
        description=table.comment,
        kinds={"sql", "duckdb", "deltalake"},
        metadata=definition_metadata(table),
        deps=[str(read.name) for read in reads],
        automation_condition=_FOLLOWS_THEM_IF_CHECKED,
        code_version=str(zlib.crc32(query.encode())),
    )
    def asset(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        settings: dg.ResourceParam[Settings],
        progress: dg.ResourceParam[Listener],
    ) -> dg.MaterializeResult[Any]:
        name = str(table.name)
        with in_step(context), publishing(settings, name, progress) as listener:
            step = Step(context.log, lake, warehouse, settings, listener)
            listener(Progress(name, "computing"))
            refuse_if_blocked(lake, table, reads)
            stored = lake.table(table)
            with lake.lock(stored.name, on_wait=step.tell):
                written = compute_table(lake, stored, settings)
            return step.finish(table, written)

    return asset


def collected_asset(
    table: Table, sources: Sequence[str], group: str, kinds: Sequence[FileKind] = ()
) -> dg.AssetsDefinition:
    """The asset of a table that the assets in `sources` all write and publish, too.

    Args:
        kinds: all files that are taken from the inbox, if this asset sees to the others: those of
            a kind without a table are rejected, and files of no kind are named.
    """

    @dg.asset(
        name=str(table.name),
        group_name=group,
        description=table.comment,
        kinds={"deltalake"},
        metadata=definition_metadata(table),
        deps=list(sources),
        automation_condition=_FOLLOWS_ANY,
    )
    def asset(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        inbox: dg.ResourceParam[Inbox],
        warehouse: dg.ResourceParam[Warehouse],
        settings: dg.ResourceParam[Settings],
        progress: dg.ResourceParam[Listener],
    ) -> dg.MaterializeResult[Any]:
        with in_step(context):
            step = Step(context.log, lake, warehouse, settings, progress)
            account = _take_others(context, step, inbox, kinds) if kinds else {}
            return step.finish(table, _new_rows(context, lake, table), account)

    return asset


def _take_others(
    context: dg.AssetExecutionContext, step: Step, inbox: Inbox, kinds: Sequence[FileKind]
) -> dict[str, Any]:
    """Reject the files that no asset takes, name those of no kind, and give an account of both."""
    rejected, refused = 0, dict[str, str]()
    for kind in (kind for kind in kinds if kind.table is None):
        taken = catch_up(step.lake, inbox, kind, step.tell, step.progress)
        _tell_taken(context, taken)
        rejected += taken.rejected
        refused |= taken.refused
    left = left_behind(inbox.look(), kinds)
    for sentence in left_in_words(left):
        context.log.warning(sentence)
    return {
        "records_rejected": rejected,
        "files_refused": _first(refused),
        "files_nobody_takes": _first(left),
    }


def _new_rows(context: dg.AssetExecutionContext, lake: Lake, table: Table) -> Written:
    """What other steps have added since the asset was materialised last."""
    rows = lake.table(table).open().count()
    return Written(inserted=max(rows - _rows_before(context), 0))


def _rows_before(context: dg.AssetExecutionContext) -> int:
    """How many rows the asset had when it was materialised last, as far as history says."""
    event = context.instance.get_latest_materialization_event(context.asset_key)
    told = event.asset_materialization if event else None
    rows = told.metadata.get("dagster/row_count") if told else None
    return rows.value if isinstance(rows, dg.IntMetadataValue) and rows.value else 0


def taken_metadata(taken: Taken) -> dict[str, Any]:
    """What a catch-up took, for the UI and the command line."""
    return {
        "files_taken": len(taken.units),
        "files_known_already": len(taken.known),
        "files_still_being_written": len(taken.unfinished),
        "records_taken": taken.records,
        "records_rejected": taken.rejected,
        "files_refused": _first(taken.refused),
        "bytes_read": taken.bytes_read,
        **unknown_metadata(taken.unknown_fields),
        "units": [unit.name for unit in taken.units[:_MOST_UNITS_NAMED]],
    }


def _first(reasons: Mapping[str, str]) -> dict[str, str]:
    return dict(islice(reasons.items(), _MOST_UNITS_NAMED))


def _tell_taken(context: dg.AssetExecutionContext, taken: Taken) -> None:
    for name in taken.unfinished:
        context.log.info(f"{name} is still being written; it waits for the next run.")
    for file in taken.known:
        context.log.info(f"{file.name} was taken before; its content is known.")
    for unit in taken.units:
        context.log.info(f"Took {unit.file.name} ({unit.file.size:,} bytes) as {unit.name}.")
    if taken.rejected:
        context.log.warning(f"{taken.rejected:,} records were rejected; rejected_records says why.")
