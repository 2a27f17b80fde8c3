"""Parameters that several routes have, and the refusal of those that a route does not have.

One that is ignored gives another answer: `form=2014-10-01`, a slip for `from`, would otherwise be
answered with all days.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import date
from typing import Annotated, Any, TypeVar

from anyio.to_thread import run_sync
from fastapi import Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ValidationError
from starlette.datastructures import QueryParams

from warehouse_assets.api.problems import Refusal
from warehouse_assets.days import Days


def day_of(text: str) -> date:
    """A day, YYYY-MM-DD and nothing else.

    Raises:
        ValueError: it is no such day.
    """
    day = date.fromisoformat(text)
    if day.isoformat() != text:  # weeks are taken, too, by newer versions of Python
        raise ValueError("it is not YYYY-MM-DD")
    return day


Day = Annotated[date, BeforeValidator(day_of)]
"""A day, YYYY-MM-DD."""
Region = Annotated[str | None, Query(description="A region.", examples=["Prague"])]
"""The region that a request may name."""


def days_of(first: date | None, last: date | None) -> Days:
    """The range of days from `first` to `last`.

    Raises:
        Refusal: the first is after the last.
    """
    try:
        return Days(first, last)
    except ValueError as error:
        raise Refusal(422, f"The days cannot be used: {error}.", "from") from None


class StrictRoute(APIRoute):
    """A route that refuses parameters behind the `?` which it does not declare."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request: as any route, if its parameters are known."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                await _refuse_unknown(request)
            return await handle(request)

        return handle_strictly


async def _refuse_unknown(request: Request) -> None:
    """Refuse the request if it has parameters behind the `?` that its route does not declare.

    Which these are is what the description of the API tells.

    Raises:
        Refusal: there are such, or one is there more than once.
    """
    app = request.app
    # To make the description takes long enough for others to notice; then the application has it.
    described = app.openapi_schema or await run_sync(app.openapi)
    path = described["paths"].get(getattr(request.scope.get("route"), "path_format", ""), {})
    parameters = path.get(request.method.lower(), {}).get("parameters", ())
    check(request.query_params, [found["name"] for found in parameters if found["in"] == "query"])


M = TypeVar("M", bound=BaseModel)


def values_of(request: Request, model: type[M]) -> M:
    """The parameters behind the `?`, as `model` declares them.

    FastAPI does the same for a route that declares them itself, in more time than it takes to
    look up a short answer; `described` then tells of them.

    Raises:
        RequestValidationError: one of them cannot be used.
    """
    if not request.scope["query_string"]:
        return model()
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        found = [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from None


def described(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The parameters of `model` in the description of the API."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.get("description", ""),
            "schema": schema,
        }
        for name, schema in model.model_json_schema()["properties"].items()
    ]


def check(sent: QueryParams, known: Sequence[str]) -> None:
    """Refuse parameters that are not `known`, and those that are there more than once.

    Raises:
        Refusal: there are such.
    """
    there_are = f"there are: {', '.join(known)}" if known else "this address takes no parameters"
    errors = {}
    for name, times in Counter(name for name, _ in sent.multi_items()).items():
        if name not in known:
            errors[name] = f"There is no parameter {name!r}; {there_are}."
        elif times > 1:
            errors[name] = f"The parameter {name!r} is there {times} times; give it once."
    if errors:
        refusal = Refusal(422, " ".join(errors.values()))
        refusal.errors = [{"at": name, "reason": reason} for name, reason in errors.items()]
        raise refusal
