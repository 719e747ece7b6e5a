"""HAIA as an MCP client in the hands of the conformance tool: attaches the server whose address is the argument, calls each of its tools through
/mcp as a client who can fill in forms, and ends. HAIA_BIN names the binary; MCP_CONFORMANCE_CONTEXT may tell which tools to call with what."""

import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

CONTEXT = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
VALUES = {"string": "test", "integer": 5, "number": 3, "boolean": True, "array": [], "object": {}, "null": None}


def example(schema):
    """Arguments that fit a schema."""
    members = (schema or {}).get("properties") or {}
    return {name: member.get("default", (member.get("enum") or [VALUES.get(member.get("type"), "test")])[0])
            for name, member in members.items() if isinstance(member, dict)}


class Client:
    def __init__(self, port):
        self.port, self.session, self.number = port, None, 0

    def post(self, message):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        connection.request("POST", "/mcp", json.dumps(message), headers)
        return connection.getresponse()

    def ask(self, method, **params):
        self.number += 1
        answer = self.post({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        self.session = answer.headers.get("Mcp-Session-Id", self.session)
        if not answer.headers["Content-Type"].startswith("text/event-stream"):
            return json.load(answer)
        for line in answer:
            if line.startswith(b"data:"):
                message = json.loads(line[5:])
                if message.get("id") == self.number and "method" not in message:
                    return message
                if "id" in message:
                    filled = {"action": "accept", "content": example(message["params"].get("requestedSchema"))}
                    self.post({"jsonrpc": "2.0", "id": message["id"], "result": filled}).read()
        return {}


def attached(client):
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)
    connection.request("GET", "/api/mcp")
    return json.load(connection.getresponse())["servers"][0]


def until(look, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    return None


with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    (work / "haia.toml").write_text('[server]\nlisten = "127.0.0.1:0"\n')
    own = {"prefix": False, "trust": "read", "ask_back": ["elicitation"]}
    (work / "mcp_config.json").write_text(json.dumps({"mcpServers": {"server": {"url": sys.argv[-1], "haia": own}}}))
    with open(work / "log", "wb") as log:
        command = [os.environ["HAIA_BIN"], "--config", "haia.toml", "--log-format", "json", "serve"]
        haia = subprocess.Popen(command, cwd=work, stdout=log, stderr=log)

    def port():
        for line in (work / "log").read_text().splitlines():
            if '"address":"127.0.0.1:' in line:
                return int(json.loads(line).get("address", json.loads(line).get("fields", {}).get("address", ":0")).rpartition(":")[2])
        return None

    try:
        client = Client(until(port))
        state = until(lambda: (lambda server: server if server["state"] in ("ready", "degraded") else None)(attached(client)), 20)
        print(json.dumps(state or attached(client)))
        client.ask("initialize", protocolVersion="2025-11-25", capabilities={"elicitation": {}}, clientInfo={"name": "check", "version": "1"})
        names = [tool["name"] for tool in (state or {}).get("tools", [])]
        calls = {call["name"]: call.get("arguments", {}) for call in CONTEXT.get("toolCalls", [])}
        listed = until(lambda: (lambda tools: tools if {tool["name"] for tool in tools} >= set(names) else None)(
            client.ask("tools/list")["result"]["tools"])) or []
        for tool in listed:
            if tool["name"] in names:
                arguments = calls.get(tool["name"], example(tool["inputSchema"]))
                print(tool["name"], json.dumps(arguments), json.dumps(client.ask("tools/call", name=tool["name"], arguments=arguments)))
    finally:
        haia.terminate()
        haia.wait(40)
