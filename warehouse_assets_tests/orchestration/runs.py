"""Runs of checks alone, and what runs tell."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from warehouse_assets.definitions import build_defs, defs
from warehouse_assets_tests.house import House

Evaluations = Mapping[str, dg.AssetCheckEvaluation]
Results = Mapping[str, dg.AssetCheckResult]

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def results_of(house: House, table: str) -> Results:
    """Make the checks of one table without a run, which takes ten times as long; by name.

    What a run makes of a result, the tests of `checks_of` and of whole runs tell.
    """
    make: Any = checks_definition(table)
    context = dg.build_asset_check_context(instance=house.instance)
    return {made.check_name: made for made in make(context, house.lake, house.settings)}


def checks_definition(table: str) -> dg.AssetChecksDefinition:
    """The step that makes the checks of one table."""
    definitions = [d for d in defs.asset_checks or () if isinstance(d, dg.AssetChecksDefinition)]
    (definition,) = (
        definition
        for definition in definitions
        if {key.asset_key for key in definition.check_keys} == {dg.AssetKey(table)}
    )
    return definition


def run_checks(
    house: House, selection: dg.AssetSelection
) -> tuple[dg.ExecuteInProcessResult, Evaluations]:
    """Make the selected checks alone; returns the run and its evaluations by `table.check`."""
    job = dg.define_asset_job("checks_alone", selection=selection)
    merged = dg.Definitions.merge(
        build_defs({"settings": house.settings}), dg.Definitions(jobs=[job])
    )
    result = merged.resolve_job_def("checks_alone").execute_in_process(
        instance=house.instance, raise_on_error=False, run_config=_QUIET
    )
    return result, evaluated(result)


def checks_of(house: House, table: str) -> Evaluations:
    """Make the checks of one table alone; returns the evaluations by name."""
    _, evaluations = run_checks(house, dg.AssetSelection.checks_for_assets(dg.AssetKey(table)))
    return {evaluation.check_name: evaluation for evaluation in evaluations.values()}


def failed(evaluations: Evaluations | Results) -> set[str]:
    """The names of the checks that did not pass."""
    return {name for name, evaluation in evaluations.items() if not evaluation.passed}


def evaluated(result: dg.ExecuteInProcessResult) -> Evaluations:
    """The evaluations of a run by `table.check`."""
    return {
        f"{evaluation.asset_key.to_user_string()}.{evaluation.check_name}": evaluation
        for evaluation in result.get_asset_check_evaluations()
    }


def materialised(result: dg.ExecuteInProcessResult) -> set[str]:
    """The names of the assets that a run materialised."""
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events if event.asset_key}
