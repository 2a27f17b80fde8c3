"""From a source to the lake, exactly once."""
