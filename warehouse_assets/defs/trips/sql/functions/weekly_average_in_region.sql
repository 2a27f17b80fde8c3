-- The weekly average of a region: its trips divided by the weeks from that of the first trip, or of
-- `first_day`, to that of the last trip, or of `last_day`; weeks without trips count.
CREATE OR REPLACE TEMP MACRO weekly_average_in_region(
    name, first_day := NULL, last_day := NULL
) AS TABLE
SELECT
    trips / weeks AS average_trips_per_week,
    weeks,
    trips,
    first_week,
    last_week
FROM (
    SELECT *, (last_week - first_week) // 7 + 1 AS weeks
    FROM (
        SELECT
            CAST(coalesce(sum(trips), 0) AS BIGINT) AS trips,
            coalesce(
                CAST(date_trunc('week', CAST(first_day AS DATE)) AS DATE), min(week_start)
            ) AS first_week,
            coalesce(
                CAST(date_trunc('week', CAST(last_day AS DATE)) AS DATE), max(week_start)
            ) AS last_week
        FROM weekly_trips_in_region(
            name, first_day := first_day, last_day := last_day
        )
    )
)
