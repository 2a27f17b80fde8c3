SELECT
    region,
    CAST(date_trunc('week', day) AS DATE) AS week_start,
    datasource,
    sum(trips) AS trips,
    max(last_trip_at) AS last_trip_at
FROM daily_trips
GROUP BY region, CAST(date_trunc('week', day) AS DATE), datasource
