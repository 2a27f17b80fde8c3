-- A step that opens or ends a delivery counts if it is later than all of its customer before it
-- (at the same time, the end is later than the opening) and not older than the horizon.
WITH ends AS (
    SELECT
        log_position,
        customer,
        delivery_step,
        occurred_at,
        horizon_at,
        max(CASE WHEN delivery_step = 1 THEN occurred_at END) OVER before AS last_opening,
        max(CASE WHEN delivery_step = 4 THEN occurred_at END) OVER before AS last_closing
    FROM deliveries
    WHERE delivery_step IN (1, 4) AND occurred_at >= horizon_at
    WINDOW before AS (
        PARTITION BY customer
        ORDER BY log_position
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

counted AS (
    SELECT
        log_position,
        customer,
        delivery_step,
        occurred_at,
        horizon_at,
        lag(delivery_step) OVER in_order AS step_before,
        lag(occurred_at) OVER in_order AS opened_at
    FROM ends
    WHERE
        (last_closing IS NULL OR occurred_at > last_closing)
        AND (
            last_opening IS NULL
            OR occurred_at > last_opening
            OR (delivery_step = 4 AND occurred_at = last_opening)
        )
    WINDOW in_order AS (PARTITION BY customer ORDER BY log_position)
)

SELECT
    customer,
    opened_at,
    occurred_at AS delivered_at,
    CAST(
        unix_micros(CAST(occurred_at AS TIMESTAMP)) - unix_micros(CAST(opened_at AS TIMESTAMP))
        AS DOUBLE
    ) / 1000000 AS duration_seconds,
    log_position
FROM counted
WHERE delivery_step = 4 AND step_before = 1 AND opened_at >= horizon_at
