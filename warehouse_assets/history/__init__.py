"""What answers were, how they changed, and why: questions to the versions of the lake's tables.

It names no family and imports no Dagster: the command and the service ask the same functions.
"""
