SELECT
    region,
    CAST(started_at AS DATE) AS day,
    datasource,
    count(*) AS trips,
    max(started_at) AS last_trip_at
FROM trips
GROUP BY region, CAST(started_at AS DATE), datasource
