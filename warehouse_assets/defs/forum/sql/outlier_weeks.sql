-- Weeks as strftime's %Y and %W. A day's week number counts the Mondays of its year up to it: that
-- is the number of its week's Monday, or 0 if that Monday lies in the year before.
WITH days AS (
    SELECT
        CAST(creation_date AS DATE) AS day,
        CAST(date_trunc('week', creation_date) AS DATE) AS monday,
        count(*) AS votes
    FROM votes
    GROUP BY CAST(creation_date AS DATE), CAST(date_trunc('week', creation_date) AS DATE)
),

numbered AS (
    SELECT
        year(day) AS year,
        CASE
            WHEN year(monday) = year(day) THEN CAST(floor((dayofyear(monday) + 6) / 7) AS INT)
            ELSE 0
        END AS week_number,
        monday,
        votes
    FROM days
),

weeks AS (
    SELECT year, week_number, monday, sum(votes) AS votes
    FROM numbered
    GROUP BY year, week_number, monday
),

totals AS (
    SELECT sum(votes) AS all_votes, count(*) AS all_weeks
    FROM weeks
)

-- abs(1 - votes / mean) > numerator / denominator in whole numbers: in floating point a week that
-- differs by exactly 20 % can be above 0.2, such as 22 votes of 55 in 3 weeks.
SELECT weeks.year, weeks.week_number, weeks.votes, weeks.monday AS week_start
FROM weeks
CROSS JOIN totals
CROSS JOIN constants
WHERE
    denominator * abs(weeks.votes * totals.all_weeks - totals.all_votes)
    > numerator * totals.all_votes
ORDER BY weeks.year, weeks.week_number
