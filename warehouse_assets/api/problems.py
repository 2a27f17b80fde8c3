"""Errors as problem documents (RFC 9457)."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from warehouse_assets.errors import (
    GoneError,
    PermanentError,
    UsageError,
    WarehouseAssetsError,
    is_disk_full,
    trouble_of_disk,
)

MEDIA_TYPE = "application/problem+json"
_SECONDS_UNTIL_ANOTHER_TRY = 10
# As RFC 9110 has them; Python's own ones depend on its version.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
_logger = logging.getLogger(__name__)


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(
        default="about:blank", description="Always about:blank: the status says it all."
    )
    title: str = Field(description="The status in words.", examples=["Unprocessable Content"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(
        description="What is wrong and what to do.",
        examples=["There is no parameter 'form'; there are: from, to, as_of, format."],
    )
    errors: list[dict[str, str]] | None = Field(
        default=None,
        description="For 422: the values that cannot be used, each with `at` and `reason`.",
        examples=[[{"at": "form", "reason": "There is no parameter 'form'; …"}]],
    )


class Refusal(HTTPException):
    """A request that cannot be answered; the answer is a problem document."""

    def __init__(self, status: int, detail: str, at: str | None = None, **headers: str) -> None:
        super().__init__(
            status, detail, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        self.errors = [{"at": at, "reason": detail}] if at else None


def answer(
    status: int,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that tells a problem."""
    problem = Problem(title=_title(status), status=status, detail=detail, errors=errors)
    document = problem.model_dump(exclude_none=True)
    return JSONResponse(document, status, headers, media_type=MEDIA_TYPE)


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase


async def _of_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code < HTTPStatus.BAD_REQUEST:  # no error, only an early end
        return Response(status_code=error.status_code, headers=error.headers)
    detail = error.detail
    if type(error) is HTTPException and detail == _title(error.status_code):
        detail = f"There is no {request.url.path} here."
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = _allowed(request)
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"Allow": allowed})
            detail = f"{request.method} is not possible here, only {allowed}."
            return answer(405, detail, headers={"Allow": allowed})
    return answer(error.status_code, detail, getattr(error, "errors", None), error.headers)


def _allowed(request: Request) -> str:
    """The methods of an address, of which each route knows its own only."""
    routes = (r for r in request.app.routes if r.matches(request.scope)[0] is not Match.NONE)
    found = {method for route in routes for method in getattr(route, "methods", ())} or {"GET"}
    return ", ".join(sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())))


async def _of_values(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"at": ".".join(str(part) for part in found["loc"][1:]), "reason": str(found["msg"])}
        for found in error.errors()
    ]
    told = "; ".join(f"{found['at']}: {found['reason']}" for found in errors)
    return answer(422, f"The request cannot be answered: {told}.", errors)


async def _of_broken_off(request: Request, error: Exception) -> Response:
    # Nobody hears it; it is what the log and the figures tell.
    return answer(400, "The request was broken off before its body was whole.")


async def _of_trouble(request: Request, error: Exception) -> Response:
    """What the warehouse says of itself, or the system of a disk."""
    is_of_system, is_full, told = isinstance(error, OSError), is_disk_full(error), str(error)
    if is_of_system and not is_full and trouble_of_disk(error) is None:
        raise error
    _logger.warning("%s %s: %s", request.method, request.url.path, error)
    if is_of_system:  # its own words are of paths
        what = "has no space left" if is_full else "cannot be written"
        told = f"The disk of the service {what}. Try again later."
    if is_full:
        return answer(507, told)
    # Where it is permanent, a person has to act first.
    seconds = _SECONDS_UNTIL_ANOTHER_TRY * (6 if isinstance(error, PermanentError) else 1)
    return answer(503, told, headers={"Retry-After": str(seconds)})


async def _of_usage(request: Request, error: Exception) -> Response:
    return answer(422, str(error))


async def _of_gone(request: Request, error: Exception) -> Response:
    return answer(410, str(error))


async def _of_fault(request: Request, error: Exception) -> Response:
    return answer(500, "The service has met an error of its own. Its log tells more.")


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    HTTPException: _of_status,
    RequestValidationError: _of_values,
    ClientDisconnect: _of_broken_off,
    UsageError: _of_usage,
    GoneError: _of_gone,
    WarehouseAssetsError: _of_trouble,
    OSError: _of_trouble,
    Exception: _of_fault,
}
"""What answers each error with a problem document."""
