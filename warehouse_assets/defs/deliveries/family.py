"""Deliveries: how long customers wait, step by step as they are made."""

from datetime import timedelta
from pathlib import Path

import dagster as dg

from warehouse_assets.defs.deliveries.assets import FEED_WATCH, average_delivery_duration
from warehouse_assets.defs.deliveries.catch_up import DeliveryAverage
from warehouse_assets.defs.deliveries.checks import CHECKS
from warehouse_assets.defs.deliveries.event_log import event_log
from warehouse_assets.defs.deliveries.lines import delivery_lines
from warehouse_assets.defs.deliveries.tables import DELIVERIES, DELIVERY_DURATIONS
from warehouse_assets.ingest.log_load import LogKind
from warehouse_assets.orchestration.assets import log_asset, sql_asset
from warehouse_assets.orchestration.families import Family
from warehouse_assets.orchestration.step import Step

_SQL = Path(__file__).parent / "sql"
_FEED = dg.AssetSpec(
    "deliveries_feed",
    description="The file to which the mobile app appends a line for each step "
    "(`DELIVERIES_FEED`).",
    kinds={"log"},
)


def _lines(step: Step) -> LogKind:
    return delivery_lines(step.lake, timedelta(hours=step.settings.delivery_open_hours))


FAMILY = Family(
    "deliveries",
    [
        log_asset(_lines, DELIVERIES, _FEED, event_log, FEED_WATCH),
        sql_asset(DELIVERY_DURATIONS, [DELIVERIES], _SQL, computed_per="customer"),
        average_delivery_duration,
    ],
    CHECKS,
    resources=lambda settings, lake: {"delivery_average": DeliveryAverage.of(settings, lake)},
)
