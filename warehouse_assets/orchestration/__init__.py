"""How tables become Dagster assets, checks, jobs, schedules and sensors.

What every family shares; it knows no family. Dagster is imported here, in the families and in
the command line, never in `lake`, `ingest` or `warehouse`.
"""
