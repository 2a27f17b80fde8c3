"""The sensor of the school family."""

import dagster as dg

from warehouse_assets.graph.automation import growth_sensor


def log_sensor(target: dg.AssetSelection) -> dg.SensorDefinition:
    """Starts a run of `target` when the log of test runs has grown."""
    return growth_sensor(
        "test_runs_log",
        "Starts a run when the log of test runs has grown (TEST_RUNS_LOG).",
        lambda settings: settings.test_runs_log,
        target,
    )
