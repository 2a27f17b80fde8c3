"""Readers that know a kind of source (files in an inbox, JSON records), not a family of data."""
