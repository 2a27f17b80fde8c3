-- Every batch has a row, also one without students; students may come before their batch.
WITH completed AS (
    SELECT student_id, count(first_completed_log_position) AS lessons
    FROM lesson_completions
    GROUP BY student_id
),

counted AS (
    SELECT
        batches.id AS batch_id,
        batches.name AS batch_name,
        count(students.id) AS students,
        count(CASE WHEN completed.lessons >= 3 THEN 1 END) AS students_with_3_lessons,
        constants.completed_lessons AS lessons_to_complete,
        count(CASE WHEN completed.lessons >= constants.completed_lessons THEN 1 END) AS students_completed
    FROM batches
    CROSS JOIN constants
    LEFT JOIN students ON batches.id = students.batch_id
    LEFT JOIN completed ON students.id = completed.student_id
    GROUP BY batches.id, batches.name, constants.completed_lessons
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
    rank() OVER (ORDER BY students_completed DESC) AS batch_rank,
    lessons_to_complete,
    students_completed,
    CASE
        WHEN students > 0
        THEN CAST(students_completed AS DOUBLE) / CAST(students AS DOUBLE)
    END AS share_completed
FROM counted
