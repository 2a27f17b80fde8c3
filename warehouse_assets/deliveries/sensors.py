"""The sensor of the deliveries family."""

import dagster as dg

from warehouse_assets.deliveries.account import account_of
from warehouse_assets.deliveries.assets import AVERAGE
from warehouse_assets.deliveries.catch_up import DeliveryAverage
from warehouse_assets.deliveries.follow import follow
from warehouse_assets.errors import WarehouseAssetsError

_SECONDS_BETWEEN_TICKS = 1
# The daemon goes round its sensors every five seconds, and begins no tick while the one before is
# going on (they are threads of their own, by `dagster.yaml`): with a tick of this length, which its
# beginning and its report prolong, the feed is watched most of the time in every round.
_SECONDS_OF_A_TICK = 4.0


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
    context: dg.SensorEvaluationContext,
    average: DeliveryAverage,
    seconds: float = _SECONDS_OF_A_TICK,
) -> dg.SensorResult | dg.SkipReason:
    """Follow the feed for a few seconds, then report the average if there was anything to take.

    What was taken is remembered with the state, not by the sensor: a tick that is lost after it
    only leaves its report out. The cursor is the revision of the state that was reported last, so
    that the next one makes up for it.
    """
    try:
        change = follow(average, seconds, context.log.info)
        reported = f"{change.after.revision} {change.after.changed_at}"
        if change.after.revision == 0 or (not change.is_any and context.cursor == reported):
            return dg.SkipReason("There is nothing new in the feed.")
        event = dg.AssetMaterialization(AVERAGE, metadata=account_of(average, change))
    except WarehouseAssetsError as error:
        return dg.SkipReason(str(error))
    return dg.SensorResult(asset_events=[event], cursor=reported)
