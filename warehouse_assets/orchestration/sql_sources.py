"""A table of a SQL database as an asset: a family declares a `SqlSource`."""

from collections.abc import Sequence

import dagster as dg

from warehouse_assets.ingest.load import Loaded
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.ingest.sql_reader import SqlSource
from warehouse_assets.orchestration.assets import source_asset
from warehouse_assets.orchestration.step import Step


def sql_source_asset(
    source: SqlSource, kind: str = "sql"
) -> Sequence[dg.AssetSpec | dg.AssetsDefinition]:
    """The asset of a table that is loaded from a table of a SQL database, and that database.

    Args:
        kind: what Dagster shows of the database.
    """
    database = dg.AssetSpec(
        f"{source.name}_database",
        description=f"The database that has the table of {source.name} (`{source.setting}`).",
        kinds={kind},
    )

    def load(step: Step) -> Loaded:
        is_given = source.setting in step.settings.given
        return load_sql(step.lake, source, source.url(step.settings), is_given)

    return source_asset(source.table, database, load)
