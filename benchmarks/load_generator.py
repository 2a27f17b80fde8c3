"""Asks a service as fast as it answers, on connections that stay open: `python -m …`.

Raw sockets and a parser of no more than what is needed, so that the generator costs less than the
service. It prints a JSON object: requests, failures, requests per second, and times in
milliseconds.
"""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import click

_OK = (b" 200", b" 304")
_END_OF_HEADERS = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True)
class Load:
    """What a service did under load; times are in milliseconds."""

    requests: int
    failures: int
    seconds: float
    requests_per_second: float
    p50: float
    p99: float
    longest: float


async def load(
    host: str, port: int, paths: Sequence[str], connections: int, seconds: float, seed: int = 1
) -> Load:
    """Ask for random ones of `paths`, a request after the other on each of the connections."""
    chance = random.Random(seed)
    requests = [_request(host, port, path) for path in paths]
    times: list[float] = []
    failures: list[bytes] = []
    began = time.perf_counter()
    deadline = began + seconds

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        while (sent := time.perf_counter()) < deadline:
            writer.write(requests[int(chance.random() * len(requests))])
            head = await reader.readuntil(_END_OF_HEADERS)
            status = head[8:12]
            if status != b" 304":
                await reader.readexactly(_length(head))
            times.append(time.perf_counter() - sent)
            if status not in _OK:
                failures.append(head)
        writer.close()

    await asyncio.gather(*(ask() for _ in range(connections)))
    took = time.perf_counter() - began
    times.sort()
    return Load(
        requests=len(times),
        failures=len(failures),
        seconds=round(took, 2),
        requests_per_second=round(len(times) / took, 1),
        p50=round(times[len(times) // 2] * 1000, 3),
        p99=round(times[len(times) * 99 // 100] * 1000, 3),
        longest=round(times[-1] * 1000, 3),
    )


def _request(host: str, port: int, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\n\r\n".encode()


def _length(head: bytes) -> int:
    lowered = head.lower()
    begin = lowered.index(_LENGTH) + len(_LENGTH)
    return int(lowered[begin : lowered.index(b"\r", begin)])


@click.command()
@click.argument("port", type=int)
@click.argument("ids", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--prefix", default="/product/", show_default=True, help="What ids come after.")
@click.option("--connections", default=16, show_default=True)
@click.option("--seconds", default=10.0, show_default=True)
def main(port: int, ids: Path, host: str, prefix: str, connections: int, seconds: float) -> None:
    """Ask the service at PORT for random ones of IDS, a file with an id on each line."""
    paths = [prefix + quote(line, safe="") for line in ids.read_text("utf-8").splitlines()]
    try:
        import uvloop
    except ImportError:
        found = asyncio.run(load(host, port, paths, connections, seconds))
    else:
        found = uvloop.run(load(host, port, paths, connections, seconds))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
