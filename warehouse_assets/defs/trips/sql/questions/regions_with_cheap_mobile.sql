-- The regions in which the datasource cheap_mobile has appeared.
SELECT
    region,
    sum(trips) AS trips,
    min(week_start) AS first_week_start,
    max(last_trip_at) AS last_trip_at
FROM weekly_trips
WHERE datasource = 'cheap_mobile'
GROUP BY region
ORDER BY region
