-- What the successful deliveries took on average; the running average, computed from all of them.
SELECT
    count(*) AS deliveries,
    avg(duration_seconds) AS average_seconds,
    min(duration_seconds) AS shortest_seconds,
    max(duration_seconds) AS longest_seconds,
    max(delivered_at) AS last_delivered_at
FROM delivery_durations
