SELECT
    coalesce(reviewerID, '') AS user_id,
    CAST(reviewed_at AS DATE) AS review_date,
    count(*) AS reviews,
    coalesce(sum(overall), 0) AS rating_sum,
    count(CASE WHEN overall = 1 THEN 1 END) AS stars_1,
    count(CASE WHEN overall = 2 THEN 1 END) AS stars_2,
    count(CASE WHEN overall = 3 THEN 1 END) AS stars_3,
    count(CASE WHEN overall = 4 THEN 1 END) AS stars_4,
    count(CASE WHEN overall = 5 THEN 1 END) AS stars_5,
    count(CASE WHEN verified = 1 THEN 1 END) AS verified_reviews,
    count(overall) AS rated_reviews
FROM reviews
GROUP BY coalesce(reviewerID, ''), CAST(reviewed_at AS DATE)
