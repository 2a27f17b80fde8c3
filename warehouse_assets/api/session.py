"""Signing in by a page: browsers send a cookie with everything, but a header only with some.

The cookie is the key itself, which no script and no page of another site gets to use. So there is
nothing to remember, and a key that is removed is of no use in a cookie either.
"""

from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from warehouse_assets.api.deps import TheService
from warehouse_assets.api.problems import Refusal, problems

router = APIRouter(prefix="/session", tags=["session"])

_COOKIE = "warehouse_key"
_MOST_BYTES = 4096
_SECONDS_OF_A_MONTH = 30 * 24 * 3600
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["key"],
                    "properties": {"key": {"type": "string"}},
                }
            }
        },
    }
}


def key_in_cookie(header: str) -> str:
    """The key that a header `Cookie` holds; empty if it holds none."""
    try:
        found = SimpleCookie(header).get(_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


@router.post(
    "",
    status_code=303,
    response_class=Response,
    openapi_extra=_FORM,
    responses={
        303: {"description": "Signed in; the cookie is set, and the page at / follows."},
        **problems(401, 403, 413, 422),
    },
)
async def sign_in(request: Request, service: TheService) -> Response:
    """Sign in a browser with a key, which it then sends as a cookie."""
    key = await _key_sent(request)
    if not key:
        raise Refusal(422, "There is no key.", "key")
    if service.keys.are_wanted() and service.keys.name(key) is None:
        raise Refusal(401, "This key is not known.", WWW_Authenticate='Bearer realm="warehouse"')
    answer = RedirectResponse("/", 303)
    if service.keys.are_wanted():
        answer.set_cookie(
            _COOKIE,
            key,
            max_age=_SECONDS_OF_A_MONTH,
            httponly=True,
            samesite="strict",
            secure=service.settings.api_url.lower().startswith("https:"),
        )
    return answer


@router.delete("", status_code=204, response_class=Response, responses=problems(403))
async def sign_out() -> Response:
    """Sign out: the cookie is removed."""
    answer = Response(status_code=204)
    answer.delete_cookie(_COOKIE, httponly=True, samesite="strict")
    return answer


async def _key_sent(request: Request) -> str:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise Refusal(413, "That is too long for a key.")
    fields = parse_qs(body.decode("utf-8", "replace"))
    return fields.get("key", [""])[0].strip()
