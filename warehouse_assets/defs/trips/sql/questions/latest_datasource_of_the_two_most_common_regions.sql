-- Of the two most common regions, the latest datasource: the first row. The second row is the
-- latest datasource of the other region; regions with as many trips count in alphabetical order.
WITH common AS (
    SELECT region, sum(trips) AS trips, max(last_trip_at) AS last_trip_at
    FROM weekly_trips
    GROUP BY region
    ORDER BY trips DESC, region
    LIMIT 2
)
SELECT common.region, common.trips, weekly.datasource, common.last_trip_at
FROM common
JOIN weekly_trips AS weekly
    ON weekly.region = common.region AND weekly.last_trip_at = common.last_trip_at
ORDER BY common.last_trip_at DESC, common.trips DESC, common.region, weekly.datasource
