"""What agents get."""
