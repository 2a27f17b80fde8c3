"""Students, batches and test runs of a school, and which batches complete the most lessons."""
