-- Of the numbers that came with a title, the one that came last.
SELECT
    lesson_title,
    max_by(lesson_id, log_position) AS lesson_id
FROM test_runs
WHERE lesson_id IS NOT NULL AND lesson_title IS NOT NULL
GROUP BY lesson_title
