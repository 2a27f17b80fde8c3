"""The ways in which a table of the lake is an asset: loaded from its source, or computed.

Materialising either leaves the table in the lake up to date and publishes it. Both can be done
again, and at any time, without changing anything that is up to date.

What follows from a table's name and declaration is said in one place, `_asset`; what follows from
its family, such as its group and its owner, in `families`.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from warehouse_assets.ingest.file_kinds import FileKind, left_behind, left_in_words
from warehouse_assets.ingest.files import load_files
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.log import LogKind, load_log
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.ingest.sql_source import SqlSource
from warehouse_assets.lake import Lake, Written
from warehouse_assets.lake.commit import noted
from warehouse_assets.orchestration.checks import declare_reads, refuse_if_blocked
from warehouse_assets.orchestration.computation import Part, compute, compute_added
from warehouse_assets.orchestration.ingestion_steps import publishing, taking_files
from warehouse_assets.orchestration.metadata import (
    column_lineage,
    definition_metadata,
    files_metadata,
    first_of,
    loaded_metadata,
    log_metadata,
    sql_metadata,
)
from warehouse_assets.orchestration.sources import Watch, file_watch, sql_watch
from warehouse_assets.orchestration.step import Step, in_step
from warehouse_assets.progress import Progress, report
from warehouse_assets.settings import Settings
from warehouse_assets.tables import aggregates
from warehouse_assets.warehouse import Warehouse

_FOLLOWS = dg.AutomationCondition.eager()
# Those that collect from all sources follow any: some may never be materialised.
_FOLLOWS_ANY = _FOLLOWS.without(~dg.AutomationCondition.any_deps_missing())
_FOLLOWS_IF_CHECKED = _FOLLOWS & dg.AutomationCondition.all_deps_blocking_checks_passed()

INBOX = dg.AssetSpec(
    "inbox",
    description="The folder into which files are dropped: `WAREHOUSE_HOME/inbox`, or `INBOX`. "
    "What was taken moves to the archive.",
    kinds={"file"},
)


@dataclass(frozen=True)
class TableAsset:
    """A table of the lake as an asset.

    Args:
        definition: the asset.
        source: what it is loaded from, as Dagster shows it; None if it is computed.
        files: the files of the inbox that it is loaded from.
        watch: looks at another source, to start a run when that has changed.
        reads: the tables that it is computed from.
        make: brings a computed one up to date, in a step of any job.
    """

    table: Table
    definition: dg.AssetsDefinition
    source: dg.AssetSpec | None = None
    files: FileKind | None = None
    watch: Watch | None = None
    reads: Sequence[Table] = ()
    make: Callable[[Step], dg.MaterializeResult[Any]] | None = None


def source_asset(
    table: Table,
    source: dg.AssetSpec,
    load: Callable[[Step], Loaded],
    watch: Watch | None = None,
    account: Callable[[Loaded], dict[str, Any]] = loaded_metadata,
    files: FileKind | None = None,
    kinds: set[str] | None = None,
) -> TableAsset:
    """The asset of a table that is loaded from a source.

    Args:
        source: what others make, as Dagster shows it.
        load: loads what is new.
        watch: looks whether something is.
        account: what is told of a load.
        files: the files of the inbox that it is loaded from.
        kinds: what Dagster shows of it, if not what it shows of the source.
    """

    def make(step: Step) -> dg.MaterializeResult[Any]:
        with step.publishing_rejected(), noted(run_id=step.run_id):
            loaded = load(step)
            _tell_loaded(step, loaded)
            with publishing(step.settings, str(table.name)):
                return step.finish(table, loaded.written, account(loaded))

    definition = _asset(table, make, [source.key], kinds or source.kinds)
    return TableAsset(table, definition, source, files, watch)


def file_asset(kind: FileKind, format_name: str) -> TableAsset:
    """The asset of a table that is loaded from files of the inbox.

    Args:
        format_name: what Dagster shows of the files.
    """
    if kind.table is None:
        raise TypeError(f"files of the kind {kind.name} have no table")

    def load(step: Step) -> Loaded:
        with taking_files(step.settings, kind, step.run_id) as told:
            return load_files(step.lake, step.inbox, kind, told)

    return source_asset(
        kind.table, INBOX, load, account=files_metadata, files=kind, kinds={format_name}
    )


def log_asset(
    kind: LogKind | Callable[[Step], LogKind],
    table: Table,
    source: dg.AssetSpec,
    log: Callable[[Settings], LogSource],
    watch: Watch | None = None,
) -> TableAsset:
    """The asset of a table that is loaded from a log.

    Args:
        kind: how its lines are read.
        source: the log, as Dagster shows it.
        log: where it is.
        watch: what looks whether it has grown, if not the usual.
    """

    def load(step: Step) -> Loaded:
        reads = kind if isinstance(kind, LogKind) else kind(step)
        return load_log(step.lake, log(step.settings), reads)

    watch = watch or file_watch(source.key.to_user_string(), log)
    return source_asset(table, source, load, watch, log_metadata)


def sql_source_asset(source: SqlSource, kind: str = "sql", is_watched: bool = True) -> TableAsset:
    """The asset of a table that is loaded from a table of a SQL database.

    Args:
        kind: what Dagster shows of the database.
        is_watched: whether a run starts when the database has changed.
    """
    database = dg.AssetSpec(
        f"{source.name}_database",
        description=f"The database that has the table of {source.name} (`{source.setting}`).",
        kinds={kind},
    )

    def load(step: Step) -> Loaded:
        is_given = source.setting in step.settings.given
        return load_sql(step.lake, source, source.url(step.settings), is_given)

    return source_asset(source.table, database, load, sql_watch(source) if is_watched else None)


def sql_asset(
    table: Table,
    reads: Sequence[Table],
    folder: Path,
    computed_per: str | None = None,
    is_of_week: bool = False,
) -> TableAsset:
    """The asset of a table that one SELECT computes from other tables of the lake.

    Where columns of the table say how partial rows are added up (`tables.aggregates`), rows that
    were added to the first of `reads`, which are never changed, are added to it; its
    `info["constants"]` says what the settings give to its SELECT, as columns of the relation
    `constants`. Any other table is computed again. It stays as it is while a blocking check of a
    table that it depends on fails.

    Args:
        reads: the tables that the SELECT names.
        folder: where its file `TABLE.sql` is.
        computed_per: a column that the table shares with the first of `reads`, if each of its
            rows follows from the rows there that have the same value in it. Then only values
            of rows that have changed are computed again.
        is_of_week: whether each row follows from rows there of its own week alone (which the
            declarations of both tables tell, see `tables.week_of`). Then only weeks of rows that
            have changed are computed again, with `computed_per` only values in weeks.
    """
    file = folder / f"{table.name}.sql"
    query = file.read_text(encoding="utf-8")
    name, part = str(table.name), Part(computed_per, is_of_week)
    declare_reads(table, reads)

    def make(step: Step) -> dg.MaterializeResult[Any]:
        with publishing(step.settings, name):
            report(Progress(name, "computing"))
            refuse_if_blocked(step.lake, table, reads)
            stored = step.lake.table(table)
            constants = table.info.get("constants")
            given = constants(step.settings) if constants else {}
            with step.lake.lock(name):
                if aggregates(table):
                    (read,) = reads
                    written = compute_added(step.lake, stored, read, query, given, part, step.anew)
                else:
                    written = compute(step.lake, stored, reads, query, part, step.anew, given)
            lineage = column_lineage(step.lake.folder / ".lineage", table, reads, query)
            account = {"computed_by": step.lake.computed_by, "dagster/column_lineage": lineage}
            return step.finish(table, written, account)

    definition = _asset(
        table,
        make,
        [str(read.name) for read in reads],
        {"sql", "duckdb"},
        sql_metadata(file, query),
        automation_condition=_FOLLOWS_IF_CHECKED,
        code_version=str(zlib.crc32(query.encode())),
    )
    return TableAsset(table, definition, reads=reads, make=make)


def collected_asset(
    table: Table, sources: Sequence[str], kinds: Sequence[FileKind] = ()
) -> TableAsset:
    """The asset of a table that the assets in `sources` all write and publish, too.

    Args:
        kinds: all files that are taken from the inbox, if this asset sees to the others: those of
            a kind without a table are rejected, and files of no kind are named.
    """

    def make(step: Step) -> dg.MaterializeResult[Any]:
        account = {}
        if kinds:
            with step.publishing_rejected(), noted(run_id=step.run_id):
                account = _take_others(step, kinds)
        return step.finish(table, _new_rows(step, table), account)

    return TableAsset(table, _asset(table, make, sources, set(), automation_condition=_FOLLOWS_ANY))


def _asset(
    table: Table,
    make: Callable[[Step], dg.MaterializeResult[Any]],
    deps: Sequence[str | dg.AssetKey],
    kinds: set[str],
    metadata: Mapping[str, Any] | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    code_version: str | None = None,
) -> dg.AssetsDefinition:
    """The asset of `table`, which `make` brings up to date and publishes."""

    @dg.asset(
        name=str(table.name),
        description=table.comment,
        kinds={*kinds, "deltalake"},
        metadata={**definition_metadata(table), **(metadata or {})},
        deps=deps,
        automation_condition=automation_condition,
        code_version=code_version,
    )
    def asset(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        inbox: dg.ResourceParam[Inbox],
        warehouse: dg.ResourceParam[Warehouse],
        settings: dg.ResourceParam[Settings],
    ) -> dg.MaterializeResult[Any]:
        with in_step(context):
            return make(Step(context, lake, inbox, warehouse, settings))

    return asset


def _take_others(step: Step, kinds: Sequence[FileKind]) -> dict[str, Any]:
    """Reject the files that no asset takes, name those of no kind, and give an account of both."""
    rejected, refused = 0, dict[str, str]()
    for kind in (kind for kind in kinds if kind.table is None):
        loaded = load_files(step.lake, step.inbox, kind)
        _tell_loaded(step, loaded)
        rejected += loaded.rejected
        refused |= loaded.refused
    left = left_behind(step.inbox.look(), kinds)
    for sentence in left_in_words(left):
        step.log.warning(sentence)
    return {
        "records_rejected": rejected,
        "files_refused": first_of(refused),
        "files_nobody_takes": first_of(left),
    }


def _new_rows(step: Step, table: Table) -> Written:
    """What other steps have added since the asset was materialised last."""
    rows = step.lake.table(table).open().count()
    return Written(inserted=max(rows - _rows_before(step, table), 0))


def _rows_before(step: Step, table: Table) -> int:
    """How many rows the asset had when it was materialised last, as far as history says."""
    event = step.context.instance.get_latest_materialization_event(dg.AssetKey(str(table.name)))
    told = event.asset_materialization if event else None
    rows = told.metadata.get("dagster/row_count") if told else None
    return rows.value if isinstance(rows, dg.IntMetadataValue) and rows.value else 0


def _tell_loaded(step: Step, loaded: Loaded) -> None:
    for name in loaded.unfinished:
        step.log.info(f"{name} is still being written; it waits for the next run.")
    for name in loaded.known:
        step.log.info(f"{name} was taken before; its content is known.")
    for unit in loaded.files:
        step.log.info(f"Took {unit.file.name} ({unit.file.size:,} bytes) as {unit.name}.")
    if loaded.rejected:
        step.log.warning(f"{loaded.rejected:,} records were rejected; rejected_records says why.")
