"""Parameters that several routes have, and the refusal of those that a route does not have.

One that is ignored gives another answer: `form=2014-10-01`, a slip for `from`, would otherwise be
answered with all days.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import date
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request
from fastapi.dependencies.models import Dependant
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
        handle = self.handler()
        told = (self.openapi_extra or {}).get("parameters", ())
        known = [
            *_names(self.dependant),
            *(found["name"] for found in told if found["in"] == "query"),
        ]

        async def handle_strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                check(request.query_params, known)
            return await handle(request)

        return handle_strictly

    def handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request whose parameters are known."""
        return super().get_route_handler()


class PlainRoute(StrictRoute):
    """A route whose function takes the request, and nothing that FastAPI would have to look up.

    To look up what a function declares takes longer than a short answer.
    """

    def handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself."""
        return self.endpoint


def _names(dependant: Dependant) -> list[str]:
    """The parameters behind the `?` that a route declares, by itself or by what it depends on."""
    nested = [name for part in dependant.dependencies for name in _names(part)]
    return [*nested, *(found.alias for found in dependant.query_params)]


M = TypeVar("M", bound=BaseModel)


def values_of(request: Request, model: type[M]) -> M:
    """The parameters behind the `?`, as `model` declares them.

    This is what FastAPI does where a function declares them; here `described` tells of them.

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
    names = [name for name, _ in sent.multi_items()]
    if len(set(names)) == len(names) and set(names) <= set(known):
        return
    there_are = f"there are: {', '.join(known)}" if known else "this address takes no parameters"
    errors = {}
    for name, times in Counter(names).items():
        if name not in known:
            errors[name] = f"There is no parameter {name!r}; {there_are}."
        elif times > 1:
            errors[name] = f"The parameter {name!r} is there {times} times; give it once."
    if errors:
        refusal = Refusal(422, " ".join(errors.values()))
        refusal.errors = [{"at": name, "reason": reason} for name, reason in errors.items()]
        raise refusal
