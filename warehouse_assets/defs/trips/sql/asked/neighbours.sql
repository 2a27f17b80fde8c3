-- Joins neighbours among groups that are `numbered`: those of a region whose tiles of origin are the same or touch, if
-- only at a corner, whose tiles of destination do, too, and whose hours are the same or follow one
-- another, midnight included. Whoever is a neighbour of a neighbour belongs to them: a joined group is
-- a connected component. Each of its groups gets the least number of them, round by round; that one,
-- which has the most trips, gives its tiles and its hour. Columns of tiles go on around the earth.
WITH RECURSIVE steps AS (
    SELECT unnest([-1, 0, 1]) AS step
),

near AS (
    SELECT
        number,
        region,
        hour_of_day,
        CAST((origin_tile_x + a.step + $tiles) % $tiles AS BIGINT) AS origin_tile_x,
        origin_tile_y + b.step AS origin_tile_y,
        CAST((destination_tile_x + c.step + $tiles) % $tiles AS BIGINT) AS destination_tile_x,
        destination_tile_y + d.step AS destination_tile_y
    FROM numbered
    CROSS JOIN steps AS a CROSS JOIN steps AS b CROSS JOIN steps AS c CROSS JOIN steps AS d
),

neighbours AS MATERIALIZED (
    SELECT near.number AS one, numbered.number AS another
    FROM near
    JOIN numbered
        USING (region, origin_tile_x, origin_tile_y, destination_tile_x, destination_tile_y)
    WHERE
        near.number <> numbered.number
        AND (
            abs(near.hour_of_day - numbered.hour_of_day) <= $hours
            OR abs(near.hour_of_day - numbered.hour_of_day) = 24 - $hours
        )
),

joined (number, least) USING KEY (number) AS (
    SELECT number, number FROM numbered
    UNION
    SELECT another, min(changed.least)
    FROM joined AS changed
    JOIN neighbours ON one = changed.number
    JOIN recurring.joined AS known ON known.number = another
    WHERE changed.least < known.least
    GROUP BY another
)

SELECT
    most.* REPLACE (
        sum(numbered.trips) AS trips,
        min(numbered.first_trip_at) AS first_trip_at,
        max(numbered.last_trip_at) AS last_trip_at,
        count(*) AS groups_joined
    )
FROM joined
JOIN numbered USING (number)
JOIN numbered AS most ON most.number = joined.least
GROUP BY ALL
