"""The asset checks of the deliveries family."""

from datetime import timedelta

from sqlalchemy import Table

from warehouse_assets.defs.deliveries.state import Point, history
from warehouse_assets.defs.deliveries.state_database import StateDatabase
from warehouse_assets.defs.deliveries.tables import DELIVERIES, DELIVERY_DURATIONS
from warehouse_assets.ingest.log import checkpoint_of
from warehouse_assets.orchestration.checks import Check, Finding, Scene
from warehouse_assets.orchestration.standard_checks import no_rows


def averages_agree() -> Check:
    """The running average is that of the table, at a place of the feed that both have reached."""

    def judge(scene: Scene) -> Finding:
        handle = scene.handle(DELIVERIES)
        mark = checkpoint_of(handle, str(DELIVERIES.name)) if handle else None
        if mark is None:
            return Finding()
        points = history(StateDatabase(scene.settings.state_url), mark.position, most=1)
        if not points:
            return Finding(metadata={"compared": False})
        (point,) = points
        successes, total = _of_the_lake(scene, point.position)
        metadata = {"compared": True, "feed_position": point.position, "successes": successes}
        if (successes, total) == (point.successes, point.total):
            return Finding(metadata=metadata)
        return Finding(_difference(point, successes, total), metadata)

    return Check(
        "averages_agree",
        "The running average is the average of this table, up to the same place of the feed.",
        judge,
    )


def _of_the_lake(scene: Scene, position: int) -> tuple[int, timedelta]:
    scene.view(DELIVERY_DURATIONS)
    successes, total_us = scene.connection.execute(
        """SELECT count(*), coalesce(sum(epoch_us(delivered_at) - epoch_us(opened_at)), 0)
        FROM delivery_durations WHERE log_position < ?""",
        [position],
    ).fetchall()[0]
    return int(successes), timedelta(microseconds=int(total_us))


def _difference(point: Point, successes: int, total: timedelta) -> str:
    average = total / successes if successes else None
    return (
        f"Up to position {point.position:,} of the feed the running average is {point.average} "
        f"over {point.successes:,} deliveries, that of delivery_durations {average} over "
        f"{successes:,}. If the table is fresh, delete the state (STATE_URL): it is made again "
        "from the lake."
    )


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
        averages_agree(),
    ],
}
