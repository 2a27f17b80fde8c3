SELECT
    post_id,
    CAST(date_trunc('week', creation_date) AS DATE) AS week_start,
    count(*) AS votes
FROM votes
GROUP BY post_id, CAST(date_trunc('week', creation_date) AS DATE)
