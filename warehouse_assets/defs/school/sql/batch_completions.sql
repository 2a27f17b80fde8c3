-- Every batch has a row, also one without students; students may come before their batch.
WITH completed AS (
    SELECT student_id
    FROM lesson_completions
    WHERE first_completed_log_position IS NOT NULL
    GROUP BY student_id
    HAVING count(*) >= 3
),

counted AS (
    SELECT
        batches.id AS batch_id,
        batches.name AS batch_name,
        count(students.id) AS students,
        count(completed.student_id) AS students_with_3_lessons
    FROM batches
    LEFT JOIN students ON batches.id = students.batch_id
    LEFT JOIN completed ON students.id = completed.student_id
    GROUP BY batches.id, batches.name
)

SELECT
    batch_id,
    batch_name,
    students,
    students_with_3_lessons,
    CASE
        WHEN students > 0
        THEN CAST(students_with_3_lessons AS DOUBLE) / CAST(students AS DOUBLE)
    END AS share_with_3_lessons,
    rank() OVER (ORDER BY students_with_3_lessons DESC) AS batch_rank
FROM counted
