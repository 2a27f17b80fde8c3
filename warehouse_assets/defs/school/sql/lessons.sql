-- Of the titles that came with a number, the one that came last.
SELECT
    lesson_id,
    max_by(lesson_title, log_position) AS lesson_title
FROM test_runs
WHERE lesson_id IS NOT NULL AND lesson_title IS NOT NULL
GROUP BY lesson_id
