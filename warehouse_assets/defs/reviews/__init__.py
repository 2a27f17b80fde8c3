"""The reviews of products by users: a snapshot of a SQL database, and what is added up of it."""
