"""What is measured; each module is imported only in the processes that need it."""
