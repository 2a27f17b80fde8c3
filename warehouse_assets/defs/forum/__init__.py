"""Posts and votes from a supplier's files, and how many votes posts get per week."""
