"""Agents: clients of the package `mcp`, over standard input and output or over HTTP."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import BIN, REPOSITORY

T = TypeVar("T")
Ask = Callable[..., Awaitable[dict[str, Any]]]
"""Calls a tool with its arguments; what is refused has `error` only."""


def with_agent(server: Any, play: Callable[[Ask], Awaitable[T]]) -> T:
    """What `play` returns, which asks a server: an address, or a process to start."""

    async def session() -> T:
        async with Client(server) as client:

            async def ask(tool: str, **arguments: Any) -> dict[str, Any]:
                result = await client.call_tool(tool, arguments)
                if result.is_error:
                    return {"error": "".join(getattr(one, "text", "") for one in result.content)}
                assert isinstance(result.structured_content, dict)
                return result.structured_content

            return await play(ask)

    return asyncio.run(session())


def process_of(house: House, **environment: str) -> StdioServerParameters:
    """`warehouse mcp` over a warehouse, as an agent starts it."""
    given = {**os.environ, **house.environment, "PYTHONPATH": str(REPOSITORY), **environment}
    return StdioServerParameters(command=str(BIN / "warehouse"), args=["mcp"], env=given)
