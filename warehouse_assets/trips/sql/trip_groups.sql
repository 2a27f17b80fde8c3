-- Web-Mercator tiles: `tiles` columns from the antimeridian eastwards and as many rows from the
-- north; places beyond 85.0511 degrees belong to the outermost rows.
-- Clamped as whole numbers, which takes less time than as fractions.
SELECT
    region,
    least(CAST(floor((origin_lon + 180) / 360 * tiles) AS BIGINT), CAST(tiles - 1 AS BIGINT)) AS origin_tile_x,
    greatest(least(CAST(floor((1 - asinh(tan(radians(origin_lat))) / pi()) / 2 * tiles) AS BIGINT), CAST(tiles - 1 AS BIGINT)), 0) AS origin_tile_y,
    least(CAST(floor((destination_lon + 180) / 360 * tiles) AS BIGINT), CAST(tiles - 1 AS BIGINT)) AS destination_tile_x,
    greatest(least(CAST(floor((1 - asinh(tan(radians(destination_lat))) / pi()) / 2 * tiles) AS BIGINT), CAST(tiles - 1 AS BIGINT)), 0) AS destination_tile_y,
    hour(started_at) AS hour_of_day,
    count(*) AS trips,
    min(started_at) AS first_trip_at,
    max(started_at) AS last_trip_at
FROM trips
CROSS JOIN constants
GROUP BY 1, 2, 3, 4, 5, 6
