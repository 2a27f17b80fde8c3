-- A run with a title alone is of the lesson that the title stands for, once that is known.
WITH runs AS (
    SELECT
        test_runs.student_id,
        test_runs.log_position,
        test_runs.is_completed,
        coalesce(test_runs.lesson_id, lesson_titles.lesson_id) AS lesson_id,
        CASE
            WHEN coalesce(test_runs.lesson_id, lesson_titles.lesson_id) IS NULL
            THEN test_runs.lesson_title
        END AS unknown_title
    FROM test_runs
    LEFT JOIN lesson_titles
        ON test_runs.lesson_id IS NULL AND test_runs.lesson_title = lesson_titles.lesson_title
),

tried AS (
    SELECT
        student_id,
        lesson_id,
        unknown_title,
        count(*) AS runs,
        min(CASE WHEN is_completed THEN log_position END) AS first_completed_log_position
    FROM runs
    GROUP BY student_id, lesson_id, unknown_title
)

SELECT
    tried.student_id,
    CASE
        WHEN tried.lesson_id IS NULL THEN concat('title:', tried.unknown_title)
        ELSE concat('id:', CAST(tried.lesson_id AS STRING))
    END AS lesson_key,
    tried.lesson_id,
    coalesce(lessons.lesson_title, tried.unknown_title) AS lesson_title,
    tried.runs,
    tried.first_completed_log_position
FROM tried
LEFT JOIN lessons ON tried.lesson_id = lessons.lesson_id
