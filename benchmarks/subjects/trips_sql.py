"""The questions about trips in plain SQL, as people would ask DuckDB, of the relation `trips`."""

TILES = 2**14
"""How many tiles the world has from west to east, and from north to south: zoom 14."""

WEEKS = """
SELECT region, CAST(date_trunc('week', started_at) AS DATE) AS week_start, datasource,
    count(*) AS trips, max(started_at) AS last_trip_at
FROM {trips}
GROUP BY region, CAST(date_trunc('week', started_at) AS DATE), datasource"""
"""`weekly_trips`."""

AREA = """
SELECT count(*) AS trips,
    1 + (CAST(date_trunc('week', max(started_at)) AS DATE)
        - CAST(date_trunc('week', min(started_at)) AS DATE)) / 7 AS weeks
FROM {trips} WHERE {area}"""
"""The trips of an area and the weeks from its first to its last; DuckDB divides to a fraction."""


_PLACES = ", ".join(
    f"CAST(split_part({end}_coord[8:-2], ' ', {part}) AS DOUBLE) AS {end}_{axis}"
    for end in ("origin", "destination")
    for part, axis in ((1, "lon"), (2, "lat"))
)
COLUMNS = f"region, {_PLACES}, CAST(datetime AS TIMESTAMP) AS started_at, datasource"
"""The columns of a trip, of those of a file."""


def _tile_x(end: str) -> str:
    return f"CAST(floor(({end}_lon + 180) / 360 * {TILES}) AS BIGINT) AS {end}_tile_x"


def _tile_y(end: str) -> str:
    north = f"asinh(tan(radians({end}_lat))) / pi()"
    return f"CAST(floor((1 - {north}) / 2 * {TILES}) AS BIGINT) AS {end}_tile_y"


GROUPS = f"""
SELECT region, {_tile_x("origin")}, {_tile_y("origin")}, {_tile_x("destination")},
    {_tile_y("destination")}, CAST(extract(hour FROM started_at) AS BIGINT) AS hour_of_day,
    count(*) AS trips, min(started_at) AS first_trip_at, max(started_at) AS last_trip_at
FROM {{trips}} GROUP BY 1, 2, 3, 4, 5, 6"""
"""`trip_groups_fine`."""
