-- The reviews by the names that they have in the API.
SELECT
    "productID" AS product_id,
    "reviewerID" AS user_id,
    "reviewerName" AS user_name,
    overall AS rating,
    verified = 1 AS is_verified,
    reviewed_at,
    summary,
    "reviewText" AS text,
    vote AS votes
FROM reviews
