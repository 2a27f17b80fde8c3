"""The sensor of the deliveries family."""

import time

import dagster as dg

from warehouse_assets.deliveries.account import account_of
from warehouse_assets.deliveries.assets import AVERAGE
from warehouse_assets.deliveries.catch_up import DeliveryAverage
from warehouse_assets.errors import WarehouseAssetsError

_SECONDS_BETWEEN_TICKS = 5
# A tick may take a minute, and others wait for it meanwhile.
_SECONDS_OF_A_TICK = 3.0


def feed_sensor() -> dg.SensorDefinition:
    """Brings the running average up to date; runs unless switched off."""

    @dg.sensor(
        name="deliveries_feed_sensor",
        description="Brings the running average of deliveries up to date with what is new in the "
        "feed (DELIVERIES_FEED), without a run.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
        asset_selection=dg.AssetSelection.assets(AVERAGE),
    )
    def sensor(
        context: dg.SensorEvaluationContext, delivery_average: dg.ResourceParam[DeliveryAverage]
    ) -> dg.SensorResult | dg.SkipReason:
        return tick(context, delivery_average)

    return sensor


def tick(
    context: dg.SensorEvaluationContext, average: DeliveryAverage
) -> dg.SensorResult | dg.SkipReason:
    """Take what is new, for a few seconds at most, and report the average if there was anything.

    What was taken is remembered with the state, not by the sensor: a tick that is lost after it
    only leaves its report out. The cursor is the revision of the state that was reported last, so
    that the next one makes up for it.
    """
    end = time.monotonic() + _SECONDS_OF_A_TICK
    try:
        change = average.catch_up(context.log.info, lambda: time.monotonic() > end)
        reported = f"{change.after.revision} {change.after.changed_at}"
        if change.after.revision == 0 or (not change.is_any and context.cursor == reported):
            return dg.SkipReason("There is nothing new in the feed.")
        event = dg.AssetMaterialization(AVERAGE, metadata=account_of(average, change))
    except WarehouseAssetsError as error:
        return dg.SkipReason(str(error))
    return dg.SensorResult(asset_events=[event], cursor=reported)
