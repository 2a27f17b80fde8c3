"""A data warehouse as a Dagster asset graph: files come in, answers come out as SQL tables."""
