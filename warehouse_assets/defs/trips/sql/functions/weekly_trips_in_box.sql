-- The trips of each week in a box, edges included, by their origin, destination or both; the days
-- from `first_day` to `last_day`, both included, or all. Only weeks with trips have a row.
CREATE OR REPLACE TEMP MACRO weekly_trips_in_box(
    min_lon, min_lat, max_lon, max_lat,
    match := 'origin', first_day := NULL, last_day := NULL
) AS TABLE
SELECT CAST(date_trunc('week', started_at) AS DATE) AS week_start, count(*) AS trips
FROM trips
WHERE
    (match = 'destination' OR (
        origin_lon BETWEEN min_lon AND max_lon AND origin_lat BETWEEN min_lat AND max_lat))
    AND (match = 'origin' OR (
        destination_lon BETWEEN min_lon AND max_lon
        AND destination_lat BETWEEN min_lat AND max_lat))
    AND (first_day IS NULL OR started_at >= CAST(first_day AS DATE))
    AND (last_day IS NULL OR started_at < CAST(last_day AS DATE) + INTERVAL 1 DAY)
GROUP BY week_start
ORDER BY week_start
