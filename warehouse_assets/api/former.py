"""The version that addresses begin with, and what is called otherwise at those without it.

`/v1/answers` and `/answers` are one route. At an address without the version, fields have the
names that they had before there was one; routes that came later have one name only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request

VERSION = "/v1"

# By route: the fields of an answer, and those of its items, with their former names.
_FIELDS: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "/answers": ({"items": "answers"}, {"url": "address"}),
    "/answers/{name}": ({"items": "rows"}, {}),
    "/answers/{name}/changes": ({"items": "rows"}, {}),
    "/tables": ({}, {"url": "address"}),
    "/product/{product_id:path}/reviews": ({"items": "reviews"}, {}),
    "/user/{user_id:path}/reviews": ({"items": "reviews"}, {}),
    "/trips/groups": ({"items": "groups"}, {}),
    "/trips/ingestions": ({"items": "ingestions"}, {}),
}


def is_versioned(path: str) -> bool:
    """Whether an address begins with the version."""
    return path.startswith(f"{VERSION}/") or path == VERSION


def named(request: Request, value: Any, names: Iterable[str]) -> tuple[Any, Iterable[str]]:
    """An answer and the heading of its rows, with the names that fit its address."""
    found = _FIELDS.get(request.scope["route"].path)
    if found is None or value is None or is_versioned(request.scope["path"]):
        return value, names
    fields, of_items = found
    if of_items:
        names = [of_items.get(name, name) for name in names]
        items = [{of_items.get(k, k): v for k, v in item.items()} for item in value["items"]]
        value = {**value, "items": items}
    return {fields.get(name, name): each for name, each in value.items()}, names
