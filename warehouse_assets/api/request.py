"""What a request says: parameters, a cursor, a body; and the refusal of what cannot be used.

A parameter that is ignored gives another answer: `form=2014-10-01`, a slip for `from`, would
otherwise be answered with all days.
"""

import base64
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import date, datetime
from types import GenericAlias
from typing import Annotated, Any, get_type_hints

import anyio
import pydantic_core
import sqlalchemy as sa
from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, Field, NaiveDatetime, TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.routing import Match
from starlette.types import Message, Scope

from warehouse_assets.api.problems import Refusal
from warehouse_assets.times import Days

_LONGEST_CURSOR = 10_000
_IN_CURSOR: Mapping[type[Any], Any] = {
    datetime: NaiveDatetime,
    date: date,
    str: Annotated[str, Field(pattern=r"^[^\x00]*$")],
    int: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)],
    float: float,
    bool: bool,
}
_SECONDS_OF_SILENCE = 60.0


def day_of(text: str) -> date:
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

    first: Annotated[date, BeforeValidator(day_of)] | None = Field(
        None, alias="from", description="First day, UTC.", examples=["2014-03-01"]
    )
    last: Annotated[date, BeforeValidator(day_of)] | None = Field(
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


class AsOf(BaseModel):
    """The parameter of an answer that is there as it was, too."""

    as_of: str | None = Field(
        None,
        description="As it was published then: a time, a day (its end), the number of a version, "
        "or a label.",
        examples=["2026-11-20T10:00:00Z"],
    )


class OfRegion(BaseModel):
    """The parameter of an answer about a region."""

    region: str | None = Field(None, description="A region.", examples=["Prague"])


class StrictRoute(APIRoute):
    """A route that refuses parameters behind the `?` which it does not declare.

    A function that returns a `Response` takes the request, what is in the path, and all parameters
    as one model, `said`. It is called without FastAPI, whose looking them up takes longer than a
    short answer. A model that allows other parameters is of one that checks them itself.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request: as any route, if its parameters are known."""
        model = get_type_hints(self.endpoint).get("said")
        known = _aliases(model) if model else _names(self.dependant)
        is_open = model is not None and model.model_config.get("extra") == "allow"
        handle = super().get_route_handler()

        async def handle_plainly(request: Request) -> Response:
            values = {"said": _values_of(request, model)} if model else {}
            answered: Response = await self.endpoint(
                request=request, **values, **request.path_params
            )
            return answered

        if get_type_hints(self.endpoint).get("return") is Response:
            handle = handle_plainly

        async def handle_strictly(request: Request) -> Response:
            if request.scope["query_string"] and not is_open:
                check(request.query_params, known)
            return await handle(request)

        return handle_strictly


class RawPathRoute(StrictRoute):
    """A route with ids in its path: any text, percent-encoded, slashes as well.

    A server hands the path on decoded, so that a slash of an id would be one of the path. So these
    are looked for in the path as it was sent.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for this route, and what is in its path."""
        return super().matches({**scope, "path": bytes(scope["raw_path"]).decode("latin-1")})


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _names(dependant: Dependant) -> list[str]:
    """The parameters behind the `?` that a route declares, by itself or by what it depends on."""
    nested = [name for part in dependant.dependencies for name in _names(part)]
    return [*nested, *(found.alias for found in dependant.query_params)]


def _values_of(request: Request, model: type[BaseModel]) -> BaseModel:
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
    unknown = {
        name: f"There is no parameter {name!r}; {there_are}." for name in sent if name not in known
    }
    if errors := {**repeated(sent), **unknown}:
        raise refused(errors)


def repeated(sent: QueryParams) -> dict[str, str]:
    """The parameters that are there more than once, each with what is said of it."""
    return {
        name: f"The parameter {name!r} is there {times} times; give it once."
        for name, times in Counter(name for name, _ in sent.multi_items()).items()
        if times > 1
    }


def refused(errors: Mapping[str, str]) -> Refusal:
    """The refusal of parameters, each with the reason."""
    refusal = Refusal(422, " ".join(errors.values()))
    refusal.errors = [{"at": name, "reason": reason} for name, reason in errors.items()]
    return refusal


def kind_of(column: sa.Column[Any]) -> Any:
    """The type of the values of a column in a cursor."""
    kind = _IN_CURSOR[column.type.python_type]
    return kind | None if column.nullable else kind


def cursor_of(values: Sequence[Any]) -> str:
    """The cursor of `values`."""
    return base64.urlsafe_b64encode(pydantic_core.to_json(values)).decode().rstrip("=")


def read_cursor(text: str, kinds: Iterable[Any]) -> tuple[Any, ...]:
    """The values of a cursor, which are of these types.

    Raises:
        Refusal: it is none of such values.
    """
    shape: Any = GenericAlias(tuple, tuple(kinds))
    found: TypeAdapter[tuple[Any, ...]] = TypeAdapter(shape)
    try:
        sent = base64.urlsafe_b64decode(text[:_LONGEST_CURSOR].encode() + b"==")
        return found.validate_json(sent, strict=True)
    except ValueError:
        raise not_a_cursor() from None


def not_a_cursor(words: str = "") -> Refusal:
    """What is said of a cursor that cannot be used."""
    return Refusal(422, f"It is not the `next` of a page{words}.", "after")


def bounded(request: Request, most_bytes: int, too_large: str) -> Request:
    """The same request, whose body is refused where it is too large or does not go on.

    Args:
        too_large: what is said of a body of more than `most_bytes`.

    Raises:
        Refusal: by its header it is too large; reading it raises the same, also for its silence.
    """
    received = 0

    def check(size: int) -> None:
        if size > most_bytes:
            raise Refusal(413, too_large)

    async def receive() -> Message:
        nonlocal received
        with anyio.move_on_after(_SECONDS_OF_SILENCE) as waiting:
            message = await request.receive()
        if waiting.cancelled_caught:
            reason = f"Nothing came for {_SECONDS_OF_SILENCE:g} seconds."
            raise Refusal(408, reason, Connection="close")
        received += len(message.get("body", b""))
        check(received)
        return message

    check(length_of(request) or 0)
    return Request(request.scope, receive)


def length_of(request: Request) -> int | None:
    """The bytes of a body as its header has them; None if they are not known."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else None
