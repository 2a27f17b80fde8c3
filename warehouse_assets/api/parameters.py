"""Parameters that several routes have, and the refusal of those that a route does not have.

One that is ignored gives another answer: `form=2014-10-01`, a slip for `from`, would otherwise be
answered with all days.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import date
from typing import Annotated, Any, TypeVar, get_type_hints

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from starlette.datastructures import QueryParams

from warehouse_assets.api.problems import Refusal
from warehouse_assets.times import Days

M = TypeVar("M", bound=BaseModel)


def _day(text: str) -> date:
    """A day, YYYY-MM-DD and nothing else.

    Raises:
        ValueError: it is no such day.
    """
    day = date.fromisoformat(text)
    if day.isoformat() != text:  # weeks are taken, too, by newer versions of Python
        raise ValueError("it is not YYYY-MM-DD")
    return day


class Ranged(BaseModel):
    """The parameters of an answer about a range of days."""

    first: Annotated[date, BeforeValidator(_day)] | None = Field(
        None, alias="from", description="First day, UTC.", examples=["2014-03-01"]
    )
    last: Annotated[date, BeforeValidator(_day)] | None = Field(
        None, alias="to", description="Last day, included.", examples=["2014-03-01"]
    )

    @property
    def days(self) -> Days:
        """The range of days.

        Raises:
            Refusal: the first is after the last.
        """
        try:
            return Days(self.first, self.last)
        except ValueError as error:
            raise Refusal(422, f"The days cannot be used: {error}.", "from") from None


class OfRegion(BaseModel):
    """The parameter of an answer about a region."""

    region: str | None = Field(None, description="A region.", examples=["Prague"])


class StrictRoute(APIRoute):
    """A route that refuses parameters behind the `?` which it does not declare.

    A function that takes the request, what is in the path, and all parameters as one model, `said`,
    and returns a `Response`, is called without FastAPI's looking its parameters up: that takes
    longer than a short answer.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request: as any route, if its parameters are known."""
        hints = get_type_hints(self.endpoint)
        model = hints.get("said")
        taken = {"request", "said", *self.param_convertors}
        is_plain = hints.get("return") is Response and taken >= {
            *inspect.signature(self.endpoint).parameters
        }
        known = _aliases(model) if model else _names(self.dependant)
        handle = super().get_route_handler()

        async def handle_plainly(request: Request) -> Response:
            values = {"said": values_of(request, model)} if model else {}
            answered: Response = await self.endpoint(
                request=request, **values, **request.path_params
            )
            return answered

        if is_plain:
            handle = handle_plainly

        async def handle_strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                check(request.query_params, known)
            return await handle(request)

        return handle_strictly


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _names(dependant: Dependant) -> list[str]:
    """The parameters behind the `?` that a route declares, by itself or by what it depends on."""
    nested = [name for part in dependant.dependencies for name in _names(part)]
    return [*nested, *(found.alias for found in dependant.query_params)]


def values_of(request: Request, model: type[M]) -> M:
    """The parameters behind the `?`, as `model` declares them.

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
