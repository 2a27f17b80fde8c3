-- The trips of each week in a region; the days from `first_day` to `last_day`, both included, or
-- all. Only weeks with trips have a row.
CREATE OR REPLACE TEMP MACRO weekly_trips_in_region(
    name, first_day := NULL, last_day := NULL
) AS TABLE
SELECT CAST(date_trunc('week', day) AS DATE) AS week_start, CAST(sum(trips) AS BIGINT) AS trips
FROM daily_trips
WHERE region = name
    AND (first_day IS NULL OR day >= CAST(first_day AS DATE))
    AND (last_day IS NULL OR day <= CAST(last_day AS DATE))
GROUP BY week_start
ORDER BY week_start
