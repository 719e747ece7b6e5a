"""The official Python SDK as a client of HAIA: over HTTP and over `haia mcp`. Prints "N passed, N failed" last.

Besides: Home Assistant's own converter must take every tool's schema, and a new session with one call must be quick.
"""

import asyncio
import os
import sys
import time

import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from voluptuous_openapi import convert_to_voluptuous

import httpx2 as httpx

URL = os.environ["HAIA_URL"] + "/mcp"
KEY, READ_KEY = os.environ["HAIA_KEY"], os.environ["HAIA_READ_KEY"]
BINARY, FOLDER = os.environ["HAIA_BIN"], os.environ["HAIA_FOLDER"]

passed = failed = 0


def check(what, condition, detail=""):
    global passed, failed
    if condition:
        passed += 1
        print(f"ok      python {what}")
    else:
        failed += 1
        print(f"FAILED  python {what} {detail}")


def over_http(key):
    return streamable_http_client(URL, http_client=httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=30))


def over_stdio():
    parameters = StdioServerParameters(command=BINARY, args=["--config", f"{FOLDER}/haia.toml", "mcp"], cwd=FOLDER)
    return stdio_client(parameters)


async def look_around(name, opened):
    async with opened as streams, ClientSession(streams[0], streams[1]) as session:
        initialized = await session.initialize()
        info = getattr(initialized, "server_info", None) or initialized.serverInfo
        check(f"{name}: initialize", info.name == "haia", initialized)
        tools = (await session.list_tools()).tools
        names = [tool.name for tool in tools]
        check(f"{name}: tools", "list_vms" in names and len(names) > 15, names)
        result = await session.call_tool("list_vms", {})
        is_error = getattr(result, "is_error", None) or getattr(result, "isError", None)
        check(f"{name}: call", not is_error and "web-01" in result.content[0].text, result)
        resources = (await session.list_resources()).resources
        check(f"{name}: resources", any(str(resource.uri) == "haia://cluster" for resource in resources), resources)
        read = await session.read_resource("haia://guests/web-01")
        check(f"{name}: read", "web-01" in read.contents[0].text, read)
        prompts = (await session.list_prompts()).prompts
        check(f"{name}: prompts", any(prompt.name == "check_homelab" for prompt in prompts), prompts)
        prompt = await session.get_prompt("why_did_it_stop", {"guest": "web-01"})
        check(f"{name}: prompt", "web-01" in prompt.messages[0].content.text, prompt)
        return tools


async def main():
    tools = await look_around("http", over_http(KEY))
    await look_around("stdio", over_stdio())

    for tool in tools:
        schema = getattr(tool, "input_schema", None) or tool.inputSchema
        try:
            convert_to_voluptuous(schema)
            converted = True
        except Exception as error:  # whatever it raises, Home Assistant would give up
            converted = f"{type(error).__name__}: {error}"
        if converted is not True:
            check(f"Home Assistant converts {tool.name}", False, converted)
    check(f"Home Assistant converts the schemas of {len(tools)} tools", True)

    async with over_http(READ_KEY) as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        check("a read key sees tools", len((await session.list_tools()).tools) > 10)
        try:
            await session.call_tool("list_vms", {})
            check("a read key calls none", False)
        except Exception as error:
            check("a read key calls none", True, error)

    # As Home Assistant does it: a session for each call. The best of ten, since the machine may be busy.
    best = 1e9
    for _ in range(10):
        begun = time.perf_counter()
        async with over_http(KEY) as streams, ClientSession(streams[0], streams[1]) as session:
            await session.initialize()
            initialized = time.perf_counter() - begun
            await session.call_tool("get_time", {})
            best = min(best, initialized)
    check(f"initialize within 50 ms ({best * 1000:.1f} ms)", best < 0.05)


asyncio.run(main())
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
