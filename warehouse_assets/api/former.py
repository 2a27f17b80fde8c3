"""The version that addresses begin with, and what is called otherwise at those without it.

`/v1/answers` and `/answers` are one route. Without the version, parameters and fields have the
names that they had before there was one.
"""

VERSION = "/v1"


def with_version(path: str) -> bool:
    """Whether an address begins with the version."""
    return path.startswith(f"{VERSION}/") or path == VERSION
