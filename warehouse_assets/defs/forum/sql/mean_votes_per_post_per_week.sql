-- A row for every week from the first vote to the last.
WITH span AS (
    SELECT
        min(week_start) AS first_week,
        unix_micros(CAST(max(week_start) AS TIMESTAMP))
        - unix_micros(CAST(min(week_start) AS TIMESTAMP)) AS microseconds
    FROM votes_per_post_per_week
),

numbers AS (
    SELECT first_week, explode(sequence(0, CAST(microseconds / 604800000000 AS INT))) AS number
    FROM span
),

weeks AS (
    SELECT first_week + CAST(7 * number AS INT) AS week_start
    FROM numbers
),

votes_per_week AS (
    SELECT week_start, sum(votes) AS votes, count(*) AS posts_voted_on
    FROM votes_per_post_per_week
    GROUP BY week_start
),

posts_per_week AS (
    SELECT CAST(date_trunc('week', creation_date) AS DATE) AS week_start, count(*) AS posts
    FROM posts
    GROUP BY CAST(date_trunc('week', creation_date) AS DATE)
),

-- Weeks before the first vote have posts, too: the sum runs over all weeks before it is cut.
posts_by_week AS (
    SELECT week_start, sum(posts) OVER (ORDER BY week_start) AS posts_existing
    FROM (
        SELECT all_weeks.week_start, coalesce(posts_per_week.posts, 0) AS posts
        FROM (
            SELECT week_start FROM weeks
            UNION
            SELECT week_start FROM posts_per_week
        ) AS all_weeks
        LEFT JOIN posts_per_week ON all_weeks.week_start = posts_per_week.week_start
    ) AS posts_of_all_weeks
)

SELECT
    weeks.week_start,
    coalesce(votes_per_week.votes, 0) AS votes,
    coalesce(votes_per_week.posts_voted_on, 0) AS posts_voted_on,
    CAST(votes_per_week.votes AS DOUBLE) / votes_per_week.posts_voted_on
        AS mean_votes_per_post_voted_on,
    posts_by_week.posts_existing,
    CAST(coalesce(votes_per_week.votes, 0) AS DOUBLE) / nullif(posts_by_week.posts_existing, 0)
        AS mean_votes_per_post_existing
FROM weeks
INNER JOIN posts_by_week ON weeks.week_start = posts_by_week.week_start
LEFT JOIN votes_per_week ON weeks.week_start = votes_per_week.week_start
ORDER BY weeks.week_start
