-- Tiles nest: a tile is `tiles_in_one` of the fine ones wide and high. Hours are the first ones of
-- their parts of the day.
SELECT
    region,
    CAST(floor(origin_tile_x / tiles_in_one) AS BIGINT) AS origin_tile_x,
    CAST(floor(origin_tile_y / tiles_in_one) AS BIGINT) AS origin_tile_y,
    CAST(floor(destination_tile_x / tiles_in_one) AS BIGINT) AS destination_tile_x,
    CAST(floor(destination_tile_y / tiles_in_one) AS BIGINT) AS destination_tile_y,
    CAST(floor(hour_of_day / hours) * hours AS BIGINT) AS hour_of_day,
    sum(trips) AS trips,
    min(first_trip_at) AS first_trip_at,
    max(last_trip_at) AS last_trip_at
FROM trip_groups_fine
CROSS JOIN constants
GROUP BY 1, 2, 3, 4, 5, 6
