-- The groups of similar trips with the most trips; a tile is its column and its row.
SELECT
    region,
    origin_tile_x || '/' || origin_tile_y AS origin_tile,
    destination_tile_x || '/' || destination_tile_y AS destination_tile,
    hour_of_day,
    trips
FROM trip_groups
ORDER BY
    trips DESC, region, hour_of_day,
    origin_tile_x, origin_tile_y, destination_tile_x, destination_tile_y
LIMIT 10
