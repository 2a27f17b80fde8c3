"""The frame under fire: killed at every point, crowded, without disk, short of memory."""
