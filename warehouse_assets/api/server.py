"""Serving the application: one process, one socket, an end that cuts nobody off without need."""

import errno
import signal
import socket

import uvicorn
from fastapi import FastAPI

from warehouse_assets.api.logs import LOGS
from warehouse_assets.errors import SettingError

_SECONDS_FOR_REQUESTS_AT_THE_END = 5


def listen(host: str, port: int) -> socket.socket:
    """A socket on which the service can be reached.

    Raises:
        SettingError: the port is taken, or the host is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "another program listens on that port, maybe another `warehouse serve`"
            remedy = "Stop it, or choose another port with --port or API_PORT."
        elif error.errno == errno.EACCES:
            reason = "this user may not listen on that port"
            remedy = "Choose one from 1024 on with --port or API_PORT."
        else:
            reason = error.strerror or str(error)
            remedy = "Choose an address of this machine with --host or API_HOST."
        raise SettingError(
            f"The service cannot listen on {host} port {port}: {reason}. {remedy}"
        ) from None


class Server(uvicorn.Server):
    """A server whose streams of events end with it."""

    def __init__(
        self, app: FastAPI, seconds_at_the_end: int = _SECONDS_FOR_REQUESTS_AT_THE_END
    ) -> None:
        config = uvicorn.Config(
            app,
            log_config=LOGS,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=seconds_at_the_end,
        )
        super().__init__(config)
        self._service = app.state.service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, after giving the requests under way some seconds."""
        self._service.stopped.set()
        await super().shutdown(sockets)


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve `app` until the process is told to end by SIGINT or SIGTERM; then return."""
    # The server hands a signal on, when it has ended, to whoever had it before.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    Server(app).run(sockets=[listening])
