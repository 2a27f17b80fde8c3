-- Web-Mercator tiles: `tiles` columns from the antimeridian eastwards and as many rows from the
-- north; places beyond 85.0511 degrees belong to the outermost rows. ln(tan(pi / 4 + lat / 2)) is the
-- same as asinh(tan(lat)), in less time, but there is none at the South Pole: hence the -86.
-- Clamped as whole numbers, which takes less time than as fractions.
SELECT
    region,
    least(CAST(floor((origin_lon + 180) / 360 * tiles) AS BIGINT), CAST(tiles - 1 AS BIGINT)) AS origin_tile_x,
    greatest(least(CAST(floor((0.5 - ln(tan(pi() / 4 + radians(greatest(origin_lat, -86)) / 2)) / (2 * pi())) * tiles) AS BIGINT), CAST(tiles - 1 AS BIGINT)), 0) AS origin_tile_y,
    least(CAST(floor((destination_lon + 180) / 360 * tiles) AS BIGINT), CAST(tiles - 1 AS BIGINT)) AS destination_tile_x,
    greatest(least(CAST(floor((0.5 - ln(tan(pi() / 4 + radians(greatest(destination_lat, -86)) / 2)) / (2 * pi())) * tiles) AS BIGINT), CAST(tiles - 1 AS BIGINT)), 0) AS destination_tile_y,
    hour(started_at) AS hour_of_day,
    count(*) AS trips,
    min(started_at) AS first_trip_at,
    max(started_at) AS last_trip_at
FROM trips
CROSS JOIN constants
GROUP BY 1, 2, 3, 4, 5, 6
