SELECT
    CAST(date_trunc('month', review_date) AS DATE) AS month_start,
    sum(reviews) AS reviews,
    sum(rating_sum) / nullif(sum(rated_reviews), 0) AS average_rating,
    sum(stars_1) AS stars_1,
    sum(stars_2) AS stars_2,
    sum(stars_3) AS stars_3,
    sum(stars_4) AS stars_4,
    sum(stars_5) AS stars_5,
    sum(rated_reviews) AS rated_reviews
FROM product_reviews_daily
GROUP BY CAST(date_trunc('month', review_date) AS DATE)
