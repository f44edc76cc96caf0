"""A client of the Python SDK: lists tools and calls one. Arguments: an address, or a command with its own."""

import asyncio
import json
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client


async def main(first, *rest):
    command = StdioServerParameters(command=first, args=list(rest))
    server = first if first.startswith("http") else stdio_client(command)
    async with Client(server) as client:
        tools = await client.list_tools()
        called = await client.call_tool("list_environments", {})
        print(json.dumps({"tools": len(tools.tools), "success": called.structured_content["success"]}))


asyncio.run(main(*sys.argv[1:]))
