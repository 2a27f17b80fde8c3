"""A family of data as it is declared, and the part of the asset graph that follows from it.

A family is a package with a module `family` that holds a `FAMILY`. Nothing else names it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
from sqlalchemy import Table

from warehouse_assets.ingest.file_kinds import FileKind
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.assets import collected_asset
from warehouse_assets.orchestration.checks import Check, checks_of
from warehouse_assets.orchestration.sources import Watch, inbox_watch, sources_sensor
from warehouse_assets.orchestration.standard_checks import (
    declared_checks,
    has_no_unknown_fields,
    rejected_share_is_low,
    source_is_fresh,
)
from warehouse_assets.settings import Settings
from warehouse_assets.tables import REJECTED_RECORDS, UNKNOWN_FIELDS

_QUALITY = "quality"
# Whose the assets of a group are, where it is not a team of the same name.
_OWNERS = {_QUALITY: "team:data", "sources": "team:data"}
_SHORTEST_WINDOW = timedelta(minutes=1)  # Dagster takes none that is shorter

Assets = Sequence[dg.AssetSpec | dg.AssetsDefinition]


@dataclass(frozen=True)
class Family:
    """What a family of data declares.

    Args:
        name: the group of its assets.
        assets: its assets, and the sources that they are loaded from.
        checks: the checks of each of its tables, beside those that follow from its declaration
            and, if it is loaded from a source, from that.
        files: the files from the inbox that are its own; they are waited for.
        watches: its other sources to be looked at; a run for one materialises its assets.
        resources: what only its own assets and watches ask for.
    """

    name: str
    assets: Assets
    checks: Mapping[Table, Sequence[Check]]
    files: Sequence[FileKind] = ()
    watches: Sequence[Watch] = ()
    resources: Callable[[Settings, Lake], Mapping[str, Any]] = lambda *_: {}

    @property
    def loaded(self) -> list[str]:
        """The names of its tables that are loaded from a source."""
        made = [asset for asset in self.assets if isinstance(asset, dg.AssetsDefinition)]
        sources = {asset.key for asset in self.assets if isinstance(asset, dg.AssetSpec)}
        return [
            spec.key.to_user_string()
            for asset in made
            for spec in asset.specs
            if sources & {dep.asset_key for dep in spec.deps}
        ]


def find_families(package: ModuleType) -> list[Family]:
    """The families among the packages in `package`, by their names."""
    found = sorted(file.parent.name for file in Path(package.__path__[0]).glob("*/family.py"))
    return [import_module(f"{package.__name__}.{name}.family").FAMILY for name in found]


def file_kinds(families: Sequence[Family]) -> tuple[FileKind, ...]:
    """All files that are taken from the inbox."""
    return tuple(kind for family in families for kind in family.files)


def definitions_of(families: Sequence[Family], settings: Settings) -> dg.Definitions:
    """The assets and checks of all `families`, the sensor of their sources, and what is common."""
    loaded = [name for family in families for name in family.loaded]
    kinds = file_kinds(families)
    common: Mapping[Table, Sequence[Check]] = {REJECTED_RECORDS: [], UNKNOWN_FIELDS: []}
    quality = Family(
        _QUALITY,
        [
            collected_asset(REJECTED_RECORDS, loaded, kinds),
            collected_asset(UNKNOWN_FIELDS, loaded),
        ],
        common,
    )
    everything = [*families, quality]
    assets = {
        asset.key: asset for family in everything for asset in _presented(family, settings)
    }  # the inbox is of several
    return dg.Definitions(
        assets=list(assets.values()),
        asset_checks=[checks for family in everything for checks in _checks(family)],
        sensors=[sources_sensor([t for family in families for t in _targets(family, kinds)])],
    )


def _presented(family: Family, settings: Settings) -> Assets:
    """The family's assets with what Dagster shows of all: group, owner, layer, freshness."""
    within = max(timedelta(hours=settings.freshness_hours), _SHORTEST_WINDOW)
    policy = dg.FreshnessPolicy.time_window(fail_window=within)

    sources = {asset.key for asset in family.assets if isinstance(asset, dg.AssetSpec)}
    loaded = set(family.loaded)

    def present(spec: dg.AssetSpec) -> dg.AssetSpec:
        is_source, name = spec.key in sources, spec.key.to_user_string()
        group = "sources" if is_source else family.name
        layer = "source" if is_source else "loaded" if name in loaded else "computed"
        return spec.replace_attributes(
            group_name=group,
            owners=[_OWNERS.get(group, f"team:{group}")],
            tags={**spec.tags, "layer": layer},
            freshness_policy=None if is_source else policy,
        )

    return list(dg.map_asset_specs(present, family.assets))


def _checks(family: Family) -> list[dg.AssetChecksDefinition]:
    return [
        checks_of(table, [*declared_checks(table), *checks, *_source_checks(table, family.loaded)])
        for table, checks in family.checks.items()
    ]


def _source_checks(table: Table, loaded: Sequence[str]) -> list[Check]:
    if table.name not in loaded:
        return []
    return [rejected_share_is_low(), has_no_unknown_fields(table), source_is_fresh()]


def _targets(
    family: Family, kinds: Sequence[FileKind]
) -> Iterator[tuple[Watch, dg.AssetSelection]]:
    target = dg.AssetSelection.groups(family.name, _QUALITY)
    if family.files:
        yield inbox_watch(family.name, family.files, kinds), target
    for watch in family.watches:
        yield watch, target
