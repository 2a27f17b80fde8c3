"""Sample sources, finite and live: like real ones, quirks included, made from a seed."""
