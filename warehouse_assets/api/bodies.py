"""Bodies of requests, which have a bound and must not stop coming."""

import anyio
from fastapi import Request
from starlette.types import Message

from warehouse_assets.api.problems import Refusal

_SECONDS_OF_SILENCE = 60.0


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
