-- Sample reviews as a table macro: who says what of which product, and when.
--
-- Each row follows from its number, the number of all rows and the seed alone, by hashes of them.
-- Products and users are drawn as Zipf found words to be: the most common one twice as often as the
-- second, three times as often as the third. Of 1,000 rows one is without a time, of 500 one is the
-- row before once more, of 250 one has two dates that do not agree, of 1,250 one has a rating that
-- cannot be, of 2,000 one has no productID.
CREATE MACRO bits(draw, first, width) AS CAST((draw >> first) & ((1 << width) - 1) AS BIGINT);

-- From 1 on, each as likely as its reciprocal tells.
CREATE MACRO zipf(draw, count) AS
    CAST(floor(pow(greatest(count, 1), bits(draw, 0, 30) / CAST(1 << 30 AS DOUBLE))) AS BIGINT);

-- How many of 32 reviews have these stars.
CREATE MACRO ratings() AS [
    5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 4, 3, 3, 3, 2, 1, 1, 1
];
CREATE MACRO names() AS [
    'Amazon Customer', 'Ann', 'J. Doe', 'María José', 'Zoë', '李雷', 'Jürgen', 'Нина', 'R&D',
    'O''Brien', 'Kindle Customer', 'DJ 🎧', 'mike', 'T. B.', 'Şule', 'Bob B'
];
CREATE MACRO summaries() AS [
    'Five Stars', 'Great!', 'Works as described', 'Not worth it', 'Très bien', 'Meh', 'One Star',
    'Good value for the money', 'Broke after a week', '素晴らしい', 'OK', 'Love it ❤', 'Don''t buy',
    'Better than expected', 'Perfect', ''
];
CREATE MACRO sentences() AS [
    'I bought this for my daughter and she uses it every day.',
    'It arrived on time and was packed well.',
    'The quality is better than I expected for the price.',
    'After two weeks it stopped working, and nobody answers my mails.',
    'Would buy again!',
    'The colour is not the one in the picture.',
    'My husband calls it "the best thing in the house".',
    'It''s a bit smaller than it looks; measure first.',
    'Ça marche très bien, je recommande.',
    'The manual is only in German: gehört so, vermutlich.',
    E'Setup took five minutes,\nno tools needed.',
    'I have had three of these over the years and this one is the worst.',
    'The battery lasts about 10 hours, which is 100% fine with me.',
    'Shipping was slow, but the seller was kind and refunded the difference.',
    'Great sound, comfortable, and it folds flat.',
    'とても良い。 😀'
];

CREATE MACRO reviews(seed, first, next, rows) AS TABLE
WITH numbered AS (
    SELECT n, n - CAST(n % 500 = 499 AS BIGINT) AS i,
        hash((hash(seed) >> 2) + CAST(i AS UBIGINT)) AS number
    FROM range(first, next) AS r(n)
), hashed AS ( -- not hash(i, n): DuckDB makes hashes of several values that differ in the same bits
    SELECT n, i, hash(xor(number, 0::UBIGINT)) AS a, hash(xor(number, 1::UBIGINT)) AS b,
        hash(xor(number, 2::UBIGINT)) AS c, hash(xor(number, 3::UBIGINT)) AS d,
        hash(xor(number, 4::UBIGINT)) AS e
    FROM numbered
), chosen AS ( -- days from 2001-01-01 to 2018-10-02, more and more
    SELECT *, zipf(a, rows / 15) AS product, zipf(b, rows / 3) AS customer,
        CAST(11323 + floor(6484 * sqrt(bits(c, 0, 30) / CAST(1 << 30 AS DOUBLE))) AS BIGINT) AS day
    FROM hashed
)
SELECT i AS level_0, i % 100000 AS "index",
    CASE WHEN i % 1250 = 7 THEN 0.0 ELSE CAST(ratings()[1 + bits(d, 0, 5)] AS DOUBLE) END AS overall,
    CAST(bits(d, 8, 4) < 13 AS BIGINT) AS verified,
    CASE WHEN i % 1000 <> 500 THEN strftime(
        make_timestamp((day + CAST(i % 250 = 3 AS BIGINT)) * 86400000000), '%m %-d, %Y'
    ) END AS "reviewTime",
    'A' || upper(left(md5('user ' || customer), 13)) AS "reviewerID",
    CASE WHEN i % 2000 = 11 THEN '' ELSE 'B' || upper(left(md5('product ' || product), 9)) END
        AS "productID",
    names()[1 + bits(d, 12, 4)] AS "reviewerName",
    array_to_string(list_transform(
        range(bits(e, 0, 4) + bits(e, 4, 3)),
        lambda k: sentences()[1 + bits(e, 8 + 3 * (k % 16), 4)]
    ), ' ') AS "reviewText",
    summaries()[1 + bits(d, 20, 4)] AS summary,
    CASE WHEN i % 1000 <> 500 THEN day * 86400 END AS "unixReviewTime",
    CASE WHEN bits(d, 30, 3) = 0
        THEN ['2', '3', '5', '8', '14', '27', '102', '1,234'][1 + bits(d, 34, 3)] END AS vote
FROM chosen ORDER BY n;
