-- Sample trips as a table macro: who travels from where to where, and when.
--
-- Each row follows from its number and the seed alone, by hashes of them: the same number gives the
-- same row in whatever order and by however many threads they are made. A draw takes some bits of a
-- hash; what it decides is looked up in `slots`, where each choice has as many of the equally
-- likely slots as its weight tells.
CREATE MACRO bits(draw, first, width) AS CAST((draw >> first) & ((1 << width) - 1) AS BIGINT);

-- From -3 to 3 and nearly normal, with mean 0 and deviation 1: the sum of the thirds of a hash,
-- each evenly distributed from 0 to 2**21, with a variance of 2**42 / 12.
CREATE MACRO normal(draw) AS
    CAST((draw & 2097151) + ((draw >> 21) & 2097151) + ((draw >> 42) & 2097151) AS DOUBLE)
    / 1048576 - 3;

CREATE MACRO outward() AS [
    40, 40, 40, 80, 160, 220, 236, 236, 224, 196, 160, 140,
    128, 128, 116, 84, 52, 36, 40, 90, 100, 70, 50, 40
]; -- of 256 trips at each hour, how many lead from homes to jobs rather than back
CREATE MACRO datasources() AS [
    'funny_car', 'baba_car', 'cheap_mobile', 'bad_diesel_vehicles', 'pt_search_app'
];

CREATE TABLE districts AS SELECT rowid AS district, * FROM cities_csv;
CREATE TABLE cities AS
    SELECT row_number() OVER (ORDER BY min(district)) - 1 AS city, region,
        any_value(trips) AS trips, any_value(has_cheap_mobile) AS has_cheap_mobile
    FROM districts GROUP BY region;

-- 104 weeks from Monday 2018-01-01 on: by day of the week and by month, growing by 40 % in all.
CREATE TABLE weights AS
SELECT 'city' AS topic, 0 AS part, city AS choice, CAST(trips AS DOUBLE) AS weight, 1024 AS slots
FROM cities
UNION ALL
SELECT 'source', city, n,
    CASE WHEN n = 2 AND NOT has_cheap_mobile THEN 0 ELSE [7, 6, 5, 4, 3][1 + n] END, 256
FROM cities, range(5) AS r(n)
UNION ALL
SELECT 'day', 0, n,
    [0.86, 0.9, 0.98, 1.03, 1.1, 1.08, 0.88, 0.8, 1.08, 1.1, 1.05, 0.94][
        month(DATE '2018-01-01' + n::INT)
    ]::DOUBLE * [1.0, 1.04, 1.05, 1.06, 1.12, 0.78, 0.62][1 + n % 7]::DOUBLE
        * (1 + 0.4::DOUBLE * n / 728), 16384
FROM range(728) AS r(n)
UNION ALL
SELECT 'hour', 0, n, [
    6, 4, 3, 2, 4, 14, 42, 88, 96, 62, 38, 36, 42, 42, 46, 62, 88, 98, 82, 56, 38, 28, 20, 12
][1 + n], 1024 FROM range(24) AS r(n)
UNION ALL
SELECT 'hour', 1, n, [
    24, 18, 12, 8, 5, 6, 10, 18, 30, 46, 60, 66, 66, 62, 60, 60, 60, 58, 56, 50, 44, 40, 38, 32
][1 + n], 1024 FROM range(24) AS r(n)
UNION ALL -- where trips begin or end: homes are part 2 * city, jobs the next one
SELECT 'end', 2 * city + kind, district, CASE kind WHEN 0 THEN homes ELSE jobs END, 1024
FROM districts JOIN cities USING (region), range(2) AS r(kind);

CREATE TABLE slots AS
SELECT topic, part, choice, unnest(range(coalesce(lag(next) OVER so_far, 0), next)) AS slot
FROM (
    SELECT *, CAST(round_even(
        sum(weight) OVER so_far / sum(weight) OVER (PARTITION BY topic, part) * slots, 0
    ) AS BIGINT) AS next
    FROM weights WINDOW so_far AS (PARTITION BY topic, part ORDER BY choice)
)
WINDOW so_far AS (PARTITION BY topic, part ORDER BY choice);

-- Rounded, because the last digit of a cosine depends on the machine.
CREATE TABLE ends AS
SELECT part * 1024 + slot AS slot, lon, lat,
    CAST(spread_km / 111.32::DOUBLE / cos(radians(lat)) AS DECIMAL(18, 9))::DOUBLE AS lon_degrees,
    CAST(spread_km / 111.32::DOUBLE AS DECIMAL(18, 9))::DOUBLE AS lat_degrees
FROM slots JOIN districts ON topic = 'end' AND district = choice;

CREATE MACRO trips(seed, first, next) AS TABLE
WITH numbered AS (
    SELECT i, hash((hash(seed) >> 2) + CAST(i AS UBIGINT)) AS number FROM range(first, next) AS r(i)
), hashed AS ( -- not hash(i, n): DuckDB makes hashes of several values that differ in the same bits
    SELECT i, hash(xor(number, 0::UBIGINT)) AS a, hash(xor(number, 1::UBIGINT)) AS b,
        hash(xor(number, 2::UBIGINT)) AS c, hash(xor(number, 3::UBIGINT)) AS d,
        hash(xor(number, 4::UBIGINT)) AS e, hash(xor(number, 5::UBIGINT)) AS f
    FROM numbered
), chosen AS (
    SELECT hashed.*, region, city, datasources()[1 + sources.choice] AS datasource,
        to_days(days.choice::INT) AS day, hours.choice AS hour,
        2 * city + CASE WHEN bits(a, 34, 8) < outward()[1 + hours.choice] THEN 0 ELSE 1 END AS kind
    FROM hashed
    JOIN slots AS towns ON towns.topic = 'city' AND towns.slot = bits(a, 0, 10)
    JOIN cities ON city = towns.choice
    JOIN slots AS days ON days.topic = 'day' AND days.slot = bits(a, 10, 14)
    JOIN slots AS hours ON hours.topic = 'hour' AND hours.slot = bits(a, 24, 10)
        AND hours.part = CAST(days.choice % 7 >= 5 AS INT)
    JOIN slots AS sources ON sources.topic = 'source' AND sources.slot = bits(a, 42, 8)
        AND sources.part = city
), placed AS (
    SELECT chosen.*, here.lon + here.lon_degrees * normal(c) AS origin_lon,
        here.lat + here.lat_degrees * normal(d) AS origin_lat,
        -- Some only go round the corner, wherever they are.
        bits(b, 20, 8) < 90 AS is_local,
        CASE WHEN is_local THEN origin_lon ELSE there.lon END
            + there.lon_degrees * normal(e) AS destination_lon,
        CASE WHEN is_local THEN origin_lat ELSE there.lat END
            + there.lat_degrees * normal(f) AS destination_lat
    FROM chosen
    JOIN ends AS here ON here.slot = kind * 1024 + bits(b, 0, 10)
    JOIN ends AS there ON there.slot = xor(kind, 1) * 1024 + bits(b, 10, 10)
)
SELECT i, region, 'POINT (' || origin_lon || ' ' || origin_lat || ')' AS origin_coord,
    'POINT (' || destination_lon || ' ' || destination_lat || ')' AS destination_coord,
    CAST(TIMESTAMP '2018-01-01' + day + to_hours(hour) + to_seconds(bits(a, 50, 14) % 3600)
        AS VARCHAR) AS "datetime", datasource
FROM placed;

-- The same, but of each `every` rows the last one is damaged, in one of these ways in turn.
CREATE MACRO damaged_trips(seed, first, next, every) AS TABLE
SELECT i, CASE WHEN d.where = 'region' THEN d.text ELSE region END AS region,
    CASE WHEN d.where = 'origin_coord' THEN d.text ELSE origin_coord END AS origin_coord,
    CASE WHEN d.where = 'destination_coord' THEN d.text ELSE destination_coord END
        AS destination_coord,
    CASE WHEN d.where = 'datetime' THEN d.text ELSE "datetime" END AS "datetime",
    CASE WHEN d.where = 'datasource' THEN d.text ELSE datasource END AS datasource
FROM (
    SELECT *, CASE WHEN i % every = every - 1 THEN [
        {'where': 'datetime', 'text': '2018-02-30 09:03:40'},
        {'where': 'origin_coord', 'text': 'POINT (14.42)'},
        {'where': 'region', 'text': ''},
        {'where': 'destination_coord', 'text': NULL},
        {'where': 'datetime', 'text': 'yesterday'},
        {'where': 'destination_coord', 'text': 'POINT (14.42 95.5)'},
        {'where': 'datasource', 'text': NULL},
        {'where': 'origin_coord', 'text': 'LINESTRING (14.42 50.08, 14.43 50.09)'}
    ][1 + i // every % 8] END AS d
    FROM trips(seed, first, next)
);
