"""What containers are made of: `deploy/`."""
