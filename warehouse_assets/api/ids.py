"""Ids of products and users in paths: any text, percent-encoded, slashes as well.

A server hands the path on decoded, so that a slash of an id would end it. Before routes are looked
for, what stands for an id is therefore put in its place as it was sent, slashes encoded.
"""

from typing import Annotated
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Path
from starlette.types import Scope

from warehouse_assets.api.problems import Refusal

LONGEST = 2000
_PREFIXES = (b"/product/", b"/user/")
_REVIEWS = b"/reviews"


def split(raw_path: bytes) -> tuple[str, bytes, bool] | None:
    """What is asked for (`product` or `user`), the id as it was sent, and whether its reviews are.

    None for any other path. A slash that was not encoded is part of the id, too.
    """
    for prefix in _PREFIXES:
        if raw_path.startswith(prefix):
            rest = raw_path[len(prefix) :]
            is_list = rest.endswith(_REVIEWS)
            sent = rest.removesuffix(_REVIEWS)
            return (prefix[1:-1].decode(), sent, is_list) if sent else None
    return None


def with_encoded_id(scope: Scope) -> Scope:
    """`scope` with a path in which an id is one segment."""
    raw_path = bytes(scope["raw_path"])
    found = split(raw_path)
    if found is None:
        return scope
    name, sent, is_list = found
    segment = sent.replace(b"/", b"%2F").decode("latin-1")
    return {**scope, "path": f"/{name}/{segment}{'/reviews' if is_list else ''}"}


def decoded(sent: str | bytes) -> str:
    """The id that was sent percent-encoded.

    Raises:
        ValueError: it is not UTF-8.
    """
    return unquote_to_bytes(sent).decode("utf-8")


def _id(sent: str) -> str:
    try:
        found = decoded(sent)
    except ValueError:
        raise Refusal(404, "There is no such id: it is not UTF-8, percent-encoded.") from None
    if len(found) > LONGEST:
        raise Refusal(422, f"An id has at most {LONGEST:,} characters.", "id")
    return found


def _product_id(
    product_id: Annotated[
        str,
        Path(
            description="The product's id, percent-encoded.",
            examples=["B000FA64PK"],
            json_schema_extra={"maxLength": LONGEST, "minLength": 1},
        ),
    ],
) -> str:
    return _id(product_id)


def _user_id(
    user_id: Annotated[
        str,
        Path(
            description="The user's id, percent-encoded.",
            examples=["A1F6404F1VG29J"],
            json_schema_extra={"maxLength": LONGEST, "minLength": 1},
        ),
    ],
) -> str:
    return _id(user_id)


TheProduct = Annotated[str, Depends(_product_id)]
TheUser = Annotated[str, Depends(_user_id)]
