"""Ids of products and users in paths: any text, percent-encoded, slashes as well.

A server hands the path on decoded, so that a slash of an id would end it. Before routes are looked
for, what stands for an id is therefore put in its place as it was sent, slashes encoded.
"""

from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from warehouse_assets.api.problems import Refusal

LONGEST = 2000
_PREFIXES = (b"/product/", b"/user/")
_REVIEWS = b"/reviews"


def with_encoded_id(scope: Scope) -> Scope:
    """`scope` with a path in which an id is one segment; a slash that was not encoded is part."""
    raw_path = bytes(scope["raw_path"])
    for prefix in _PREFIXES:
        if raw_path.startswith(prefix):
            rest = raw_path[len(prefix) :]
            end = _REVIEWS if rest.endswith(_REVIEWS) else b""
            sent = rest.removesuffix(end)
            if sent:
                path = prefix + sent.replace(b"/", b"%2F") + end
                return {**scope, "path": path.decode("latin-1")}
    return scope


def decoded(sent: str) -> str:
    """The id that was sent percent-encoded.

    Raises:
        Refusal: it is not UTF-8, or too long.
    """
    try:
        found = unquote_to_bytes(sent).decode("utf-8")
    except ValueError:
        raise Refusal(404, "There is no such id: it is not UTF-8, percent-encoded.") from None
    if len(found) > LONGEST:
        raise Refusal(422, f"An id has at most {LONGEST:,} characters.", "id")
    return found
