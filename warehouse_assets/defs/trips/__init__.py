"""Trips from CSV files: groups of similar trips, and how many there are per week and area."""
