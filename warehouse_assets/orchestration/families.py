"""A family of data as it is declared, and the part of the asset graph that follows from it.

A family is a folder of `defs` with a module `family` that holds a `FAMILY`, and a module `tables`.
Nothing else names it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import dagster as dg
from sqlalchemy import Table

from warehouse_assets.ingest.file_kinds import FileKind
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.assets import TableAsset, collected_asset
from warehouse_assets.orchestration.checks import Check, checks_of
from warehouse_assets.orchestration.recomputing import recompute_job
from warehouse_assets.orchestration.sources import Resources, Watch, inbox_watch, sources_sensor
from warehouse_assets.orchestration.standard_checks import (
    declared_checks,
    has_no_unknown_fields,
    rejected_share_is_low,
    source_is_fresh,
)
from warehouse_assets.settings import Settings, in_words
from warehouse_assets.tables import LOADS, REJECTED_RECORDS, UNKNOWN_FIELDS

_QUALITY = "quality"
_DATA_TEAM = "team:data"  # whose what is of no family is
_SHORTEST_WINDOW = timedelta(minutes=1)  # Dagster takes none that is shorter


@dataclass(frozen=True)
class Family:
    """What a family of data declares.

    Args:
        name: the group of its assets.
        assets: its tables as assets, and what else it has of assets.
        checks: checks of its tables, beside those that follow from a table's declaration and, if
            it is loaded from a source, from that.
        other_files: the files from the inbox that are its own though no table is loaded from them.
        resources: what only its own assets and sources ask for.
    """

    name: str
    assets: Sequence[TableAsset | dg.AssetsDefinition]
    checks: Mapping[Table, Sequence[Check]] = field(default_factory=dict)
    other_files: Sequence[FileKind] = ()
    resources: Callable[[Settings, Lake], Mapping[str, Any]] = lambda *_: {}

    def __post_init__(self) -> None:
        if others := set(self.checks) - {asset.table for asset in self.tables}:
            names = ", ".join(sorted(str(table.name) for table in others))
            raise TypeError(f"the family {self.name} has checks of {names}, but no asset of it")

    @property
    def tables(self) -> list[TableAsset]:
        """Its tables."""
        return [asset for asset in self.assets if isinstance(asset, TableAsset)]

    @property
    def loaded(self) -> list[str]:
        """The names of its tables that are loaded from a source."""
        return [str(asset.table.name) for asset in self.tables if asset.source]

    @property
    def files(self) -> list[FileKind]:
        """The files from the inbox that are its own."""
        return [*(asset.files for asset in self.tables if asset.files), *self.other_files]

    @cached_property
    def asset_checks(self) -> list[dg.AssetChecksDefinition]:
        """The checks of each table: of its declaration, of the family, and of its source if any."""
        return [checks_of(asset.table, self._checks(asset)) for asset in self.tables]

    def _checks(self, asset: TableAsset) -> Iterator[Check]:
        yield from declared_checks(asset.table)
        yield from self.checks.get(asset.table, ())
        if asset.source:
            yield from (
                rejected_share_is_low(),
                has_no_unknown_fields(asset.table),
                source_is_fresh(),
            )


def file_kinds(families: Sequence[Family]) -> tuple[FileKind, ...]:
    """All files that are taken from the inbox."""
    return tuple(kind for family in families for kind in family.files)


def definitions_of(
    families: Sequence[Family], settings: Settings, resources: Resources
) -> dg.Definitions:
    """The assets and checks of all `families`, the sensor of their sources, and what is common.

    Args:
        resources: those that the assets ask for, by name.
    """
    loaded = [name for family in families for name in family.loaded]
    kinds = file_kinds(families)
    quality = Family(
        _QUALITY,
        [
            collected_asset(REJECTED_RECORDS, loaded, kinds),
            collected_asset(UNKNOWN_FIELDS, loaded),
            collected_asset(LOADS, loaded),
        ],
    )
    everything = [*families, quality]
    return dg.Definitions(
        assets=[
            *_sources(families),
            *(asset for family in everything for asset in _presented(family, settings)),
        ],
        asset_checks=[checks for family in everything for checks in family.asset_checks],
        sensors=[
            sources_sensor([t for family in families for t in _targets(family, kinds)], resources)
        ],
        jobs=[recompute_job([asset for family in families for asset in family.tables])],
        resources=resources,
    )


def _sources(families: Sequence[Family]) -> list[dg.AssetSpec]:
    """What tables are loaded from, each once: the inbox is the source of several."""
    found = {
        asset.source.key: asset.source
        for family in families
        for asset in family.tables
        if asset.source
    }
    return [
        source.replace_attributes(
            group_name="sources", owners=[_DATA_TEAM], tags={**source.tags, "layer": "source"}
        )
        for source in found.values()
    ]


def _presented(family: Family, settings: Settings) -> Iterable[dg.AssetsDefinition]:
    """The family's assets with what Dagster shows of all: group, owner, layer, freshness."""
    within = max(timedelta(hours=settings.freshness_hours), _SHORTEST_WINDOW)
    policy = dg.FreshnessPolicy.time_window(fail_window=within)
    owner = _DATA_TEAM if family.name == _QUALITY else f"team:{family.name}"
    loaded = set(family.loaded)

    def present(spec: dg.AssetSpec) -> dg.AssetSpec:
        layer = "loaded" if spec.key.to_user_string() in loaded else "computed"
        metadata = dict(spec.metadata)
        if "answers" in metadata:
            metadata["answers"] = in_words(metadata["answers"], settings)
        return spec.replace_attributes(
            metadata=metadata,
            group_name=family.name,
            owners=[owner],
            tags={**spec.tags, "layer": layer},
            freshness_policy=policy,
        )

    return dg.map_asset_specs(
        present, [a.definition if isinstance(a, TableAsset) else a for a in family.assets]
    )


def _targets(
    family: Family, kinds: Sequence[FileKind]
) -> Iterator[tuple[Watch, dg.AssetSelection]]:
    """The sources of a family that are looked at; a run for one materialises all its assets."""
    target = dg.AssetSelection.groups(family.name, _QUALITY)
    if family.files:
        yield inbox_watch(family.name, family.files, kinds), target
    for asset in family.tables:
        if asset.watch:
            yield asset.watch, target
