"""The sensor of the deliveries family."""

import time

import dagster as dg

from warehouse_assets.defs.deliveries.assets import AVERAGE, account_of
from warehouse_assets.defs.deliveries.catch_up import DeliveryAverage
from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.ingest.log import refuse_missing
from warehouse_assets.progress import heard_by

_SECONDS_BETWEEN_TICKS = 5
# A tick may take 60 s. Of a feed with more to take the next tick takes the rest.
_SECONDS_OF_A_TICK = 20


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
    """Take what is new in the feed, if its file has changed, and report the average.

    The cursor is the feed's file as it was looked at last, and the revision of the state that was
    reported. What was taken is remembered with the state, not by the sensor: a tick that is lost
    after it only leaves its report out, and the next one makes up for it.
    """
    seen, _, reported = (context.cursor or "").partition(" @ ")
    looked, end = average.look(), time.monotonic() + _SECONDS_OF_A_TICK
    if looked is None and not average.source.is_given:
        return dg.SkipReason(refuse_missing(average.source, "feed"))
    if looked and looked == seen and not average.database.is_lost():
        return dg.SkipReason("There is nothing new in the feed.")
    try:
        with heard_by(context.log.info):
            change = average.catch_up(lambda: time.monotonic() >= end)
    except WarehouseAssetsError as error:
        return dg.SkipReason(str(error))
    revision = f"{change.after.revision} {change.after.changed_at}"
    cursor = f"{'' if change.is_cut else looked or ''} @ {revision}"
    if change.after.revision == 0 or (not change.is_any and reported == revision):
        reason = "There is nothing new in the feed."
        return dg.SensorResult(skip_reason=reason, cursor=cursor)
    event = dg.AssetMaterialization(AVERAGE, metadata=account_of(change))
    return dg.SensorResult(asset_events=[event], cursor=cursor)
