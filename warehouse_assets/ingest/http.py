"""Pages of JSON from a server: asked for patiently, within limits, failures told in words.

An attempt that may succeed when it is repeated is: no connection, a timeout, a busy or broken
server, an answer that was cut or is no JSON. The waiting grows from one to the next. (urllib3
could repeat by itself, but only until the body begins, where much of what goes wrong is yet to
come; two layers of repetition would multiply.)
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from random import SystemRandom
from typing import TypeVar

import requests
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema, TooManyRedirects
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
)
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.json_records import (
    NotAnArrayError,
    NotJsonError,
    excerpt,
    json_array,
)
from warehouse_assets.progress import tell

_PACKAGE = "warehouse_assets"
_MOST_REDIRECTS = 5
_CHUNK_BYTES = 1 << 16
_WORTH_REPEATING = frozenset((429, 500, 502, 503, 504))
_HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "It wants a user and a password: http://USER:PASSWORD@HOST/…",
    HTTPStatus.FORBIDDEN: "It does not allow this user, or this machine, to read there.",
    HTTPStatus.NOT_FOUND: "There is a server, but it does not know this address.",
}
_CREDENTIALS = re.compile(r"(?<=://)([^/?#]*)@")
_SHORTEST_SECONDS = 0.01  # for what is to be tried at all
_CONNECT_SECONDS = 10.0
_FIRST_WAIT, _MOST_WAIT = 1.0, 30.0  # seconds; doubled from one attempt to the next
_random = SystemRandom()
_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """How long an answer is waited for, and how often it is asked for.

    Args:
        attempts: of one page.
        seconds: for a page, with all attempts and the waits between them.
        setting: the setting that `seconds` comes from, for messages.
        read_seconds: for the next byte.
        total_seconds: for one attempt, however its answer trickles in.
        most_bytes: the longest answer that is read, unpacked.
        sleep: waits for seconds.
    """

    attempts: int = 6
    seconds: float = 120.0
    setting: str = ""
    read_seconds: float = 30.0
    total_seconds: float = 60.0
    most_bytes: int = 64 * 2**20
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, seconds: float, setting: str) -> "Patience":
        """Such that a page takes at most `seconds`, and yet a second attempt has a chance."""
        return cls(
            seconds=seconds, setting=setting, read_seconds=seconds / 4, total_seconds=seconds / 2
        )


class _FailedError(Exception):
    """An attempt failed in a way that another may not."""

    def __init__(self, reason: str, asked_wait: float | None = None) -> None:
        super().__init__(reason)
        self.asked_wait = asked_wait


class HttpPages:
    """One address that answers with arrays of JSON.

    Args:
        address: the address; a user and a password may be in it.
        setting: the setting that it comes from.
    """

    def __init__(self, address: str, setting: str, patience: Patience) -> None:
        self.address = shown(address)
        self.pages_read = 0
        self.bytes_read = 0
        self._address = address
        self._setting = setting
        self._patience = patience
        self._session = requests.Session()
        self._session.max_redirects = _MOST_REDIRECTS
        self._session.headers["User-Agent"] = f"{_PACKAGE}/{version(_PACKAGE)}"
        self._session.headers["Accept"] = "application/json"

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def page(self, parameters: Mapping[str, str]) -> list[object]:
        """The elements of the array that the address answers with to `parameters`.

        Raises:
            SourceError: it does not, however often it is asked.
        """
        patience, end = self._patience, time.monotonic() + self._patience.seconds
        retry = Retrying(
            retry=retry_if_exception_type(_FailedError),
            stop=stop_after_attempt(patience.attempts) | stop_before_delay(patience.seconds),
            wait=_wait,
            before_sleep=self._tell_of_failure,
            sleep=patience.sleep,
            reraise=True,
        )
        try:
            elements = retry(lambda: self._attempt(parameters, end - time.monotonic()))
        except _FailedError as failure:
            raise self._given_up(int(retry.statistics["attempt_number"]), failure) from failure
        self.pages_read += 1
        return elements

    def _attempt(self, parameters: Mapping[str, str], seconds: float) -> list[object]:
        seconds = max(min(seconds, self._patience.total_seconds), _SHORTEST_SECONDS)
        try:
            response, body = _within(seconds, lambda: self._answer(parameters, seconds))
        except FutureTimeoutError as error:
            raise _FailedError(
                f"its answer took more than {round(seconds, 1):g} seconds"
            ) from error
        except TooManyRedirects as error:
            raise self._error(f"it redirects more than {_MOST_REDIRECTS} times") from error
        except (InvalidSchema, InvalidURL, MissingSchema) as error:
            raise self._error("this is not an address that can be read") from error
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _FailedError(_in_words(error)) from error
        self.bytes_read += len(body)
        self._check_status(response, body)
        try:
            return json_array(body)
        except NotJsonError as error:
            raise _FailedError(f"it answered with {error}") from error
        except NotAnArrayError as error:
            raise self._error(f"it answered with {error}") from error

    def _answer(
        self, parameters: Mapping[str, str], seconds: float
    ) -> tuple[requests.Response, bytes]:
        deadline, body, most = time.monotonic() + seconds, bytearray(), self._patience.most_bytes
        limits = min(_CONNECT_SECONDS, seconds), min(self._patience.read_seconds, seconds)
        with self._session.get(
            self._address, params=parameters, timeout=limits, stream=True
        ) as response:
            # Each read takes what is there: a server that drips cannot hold it up.
            while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
                body += chunk
                if len(body) > most:
                    raise self._error(f"its answer is longer than {most:,} bytes")
                if time.monotonic() > deadline:
                    raise FutureTimeoutError
            return response, bytes(body)

    def _check_status(self, response: requests.Response, body: bytes) -> None:
        code = response.status_code
        if code in range(200, 300):
            return
        words = f"it answered {code} {response.reason or ''}".rstrip()
        if body.strip():
            words += f" ({excerpt(body)})"
        if code in _WORTH_REPEATING:
            raise _FailedError(words, _asked_wait(response))
        raise self._error(f"{words}. {_HINTS.get(code, '')}".rstrip(". "))

    def _tell_of_failure(self, state: RetryCallState) -> None:
        failure = state.outcome and state.outcome.exception()
        tell(
            f"{self.address} could not be read: {failure}. "
            f"Trying again in {state.upcoming_sleep:.1f} s."
        )

    def _given_up(self, attempts: int, failure: _FailedError) -> SourceError:
        patience = self._patience
        times = "once" if attempts == 1 else f"{attempts} times"
        setting = f" (setting {patience.setting})" if patience.setting else ""
        asks = "" if failure.asked_wait is None else " and asks for a longer wait (Retry-After)"
        if attempts == patience.attempts:
            asks = ""
        return self._error(
            f"tried {times} within {patience.seconds:g} seconds{setting}, at last: {failure}{asks}"
        )

    def _error(self, what: str) -> SourceError:
        return SourceError(
            f"{self.address} cannot be read: {what}. See that the server runs and that "
            f"the setting {self._setting} is its address. What was read before is kept; the next "
            "run continues there."
        )


def _wait(state: RetryCallState) -> float:
    """Seconds to wait after an attempt failed."""
    failure = state.outcome and state.outcome.exception()
    if isinstance(failure, _FailedError) and failure.asked_wait is not None:
        return failure.asked_wait
    longest = min(_FIRST_WAIT * 2.0 ** (state.attempt_number - 1), _MOST_WAIT)
    # Those who failed together should not come again together.
    return longest * _random.uniform(0.5, 1.0)


def _within(seconds: float, work: Callable[[], _T]) -> _T:
    """What `work` gives.

    Neither the search for a host's address nor headers that come byte by byte know a timeout, so
    that `work` is left alone when it takes longer; it ends by itself, or with the process.

    Raises:
        FutureTimeoutError: it takes longer.
    """
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="http_pages", daemon=True).start()
    return future.result(seconds)


def shown(address: str) -> str:
    """`address` without its password, for messages."""
    return _CREDENTIALS.sub(_masked, address)


def _masked(credentials: re.Match[str]) -> str:
    user, colon, _ = credentials[1].partition(":")
    return f"{user}:***@" if colon else "***@"  # a name alone may be a token


def _asked_wait(response: requests.Response) -> float | None:
    """The seconds that `Retry-After` asks for, whether it gives seconds or a date."""
    header = response.headers.get("Retry-After")
    if header is None:
        return None
    try:
        return max(float(Retry().parse_retry_after(header)), 0.0)
    except InvalidHeader:
        return None


def _in_words(error: BaseException) -> str:
    """What went wrong, from the depth of the error, without addresses and objects."""
    reason, inner = error, _inner(error)
    while inner is not None:
        reason, inner = inner, _inner(inner)
    words = str(reason).rpartition(">: ")[2].rpartition("): ")[2].partition(" (read timeout")[0]
    return words.rstrip(". ") or type(reason).__name__


def _inner(error: BaseException) -> BaseException | None:
    """The error that `error` wraps in the manner of urllib3, if it wraps one."""
    wrapped = [getattr(error, "reason", None), *error.args[::-1]]
    return next((inner for inner in wrapped if isinstance(inner, BaseException)), None)
