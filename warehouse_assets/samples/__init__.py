"""Sample sources: files like those that suppliers send, made from a seed."""
