"""The asset checks of the deliveries family."""

from datetime import timedelta

from sqlalchemy import Table

from warehouse_assets.defs.deliveries.state import average_up_to
from warehouse_assets.defs.deliveries.state_database import state_database
from warehouse_assets.defs.deliveries.tables import DELIVERIES, DELIVERY_DURATIONS
from warehouse_assets.ingest.log import checkpoint_of
from warehouse_assets.orchestration.checks import Check, CheckContext, CheckResult
from warehouse_assets.orchestration.standard_checks import no_rows


def _averages_agree(context: CheckContext) -> CheckResult:
    """Compare at the last position of the event log that both have reached."""
    handle = context.handle(DELIVERIES)
    checkpoint = checkpoint_of(handle, str(DELIVERIES.name)) if handle else None
    if checkpoint is None:
        return CheckResult()
    point = average_up_to(state_database(context.settings.state_url), checkpoint.position)
    if point is None:
        return CheckResult(metadata={"compared": False})
    position, running = point
    context.view(DELIVERY_DURATIONS)
    ((count, total_us),) = context.connection.execute(
        """SELECT count(*), coalesce(sum(epoch_us(delivered_at) - epoch_us(opened_at)), 0)
        FROM delivery_durations WHERE log_position < ?""",
        [position],
    ).fetchall()
    computed = int(count), timedelta(microseconds=int(total_us))
    difference = ""
    if computed != running:
        difference = (
            f"Up to position {position:,} of the feed the running average is {_shown(*running)}, "
            f"that of delivery_durations {_shown(*computed)}. If the table is fresh, delete the "
            "state (STATE_URL): it is made again from the lake."
        )
    return CheckResult(
        difference, {"compared": True, "feed_position": position, "successes": int(count)}
    )


def _shown(successes: int, total: timedelta) -> str:
    average = total / successes if successes else None
    return f"{average} over {successes:,} deliveries"


CHECKS: dict[Table, list[Check]] = {
    DELIVERIES: [
        no_rows(
            "steps_are_known",
            "delivery_step is 1 to 4, and no time is later than the newest.",
            """SELECT * FROM deliveries
            WHERE delivery_step NOT BETWEEN 1 AND 4 OR occurred_at > newest_at""",
            blocks=True,
        ),
    ],
    DELIVERY_DURATIONS: [
        no_rows(
            "values_are_plausible",
            "No delivery ends before it begins.",
            "SELECT * FROM delivery_durations WHERE duration_seconds < 0",
            blocks=True,
        ),
        Check(
            "averages_agree",
            "The running average is the average of this table, up to the same place of the feed.",
            _averages_agree,
        ),
    ],
}
