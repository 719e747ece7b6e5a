"""An MCP server on standard input and output that behaves in every way a test asks for. Only the standard library."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

KIND = sys.argv[1] if len(sys.argv) > 1 else "good"
EXTRA = sys.argv[2:]
LOCK = threading.Lock()
CANCELLED = []


def note(line):
    """Adds a line to the file that the test watches, if it gave one."""
    path = os.environ.get("TEST_NOTES")
    if path:
        with open(path, "a") as notes:
            notes.write(line + "\n")


def send(message):
    with LOCK:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def schema(**members):
    return {"type": "object", "properties": members, "required": list(members)}


def tool(name, description="A tool.", /, **members):
    return {"name": name, "description": description, "inputSchema": schema(**members)}


TEXT = {"type": "string"}
NUMBER = {"type": "number"}
GOOD = [
    tool("echo", "Says it again.", text=TEXT),
    tool("slow", "Takes its time.", seconds=NUMBER),
    tool("progress", "Takes its time and tells so.", seconds=NUMBER),
    tool("big", "A lot of text.", bytes=NUMBER),
    tool("picture", "A picture and structure."),
    tool("crash", "Ends the server."),
    tool("variable", "An environment variable.", name=TEXT),
    tool("refuse", "Is refused."),
    tool("fail", "Fails as tools do."),
    tool("pid", "The server's process."),
    tool("bump", "Tells that the tools have changed."),
    tool("ask", "Asks the person, the model and for roots."),
]


def tools():
    if KIND == "file":
        with open(EXTRA[0]) as file:
            return json.load(file)
    if KIND == "odd":
        return [
            tool("fine"),
            {"name": "no_schema"},
            {"name": "list_schema", "inputSchema": []},
            "text",
            {"inputSchema": {}},
            tool("a.b"),
            tool("a/b"),
            tool("Case"),
            tool("case"),
            tool("x" * 100),
            tool("hidden", "Harmless.\u200b\u202e\U000e0041 Really\x1b[31m."),
            {"name": "deep", "inputSchema": {"type": "object", "properties": {"self": {"$ref": "#"}}}},
        ]
    return GOOD


def result(identifier, value):
    send({"jsonrpc": "2.0", "id": identifier, "result": value})


def error(identifier, code, message):
    send({"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": message}})


def text(said, is_error=False):
    return {"content": [{"type": "text", "text": said}], "isError": is_error}


PENDING = {}


def ask(method, params):
    """Sends a request to the client and waits for its answer."""
    identifier = f"s{len(PENDING)}"
    PENDING[identifier] = threading.Event()
    send({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params})
    PENDING[identifier].wait(5)
    answer = PENDING[identifier]
    return getattr(answer, "value", None)


def call(identifier, params):
    name, arguments = params["name"], params.get("arguments") or {}
    note(f"call {name}")
    if name == "echo":
        result(identifier, text(arguments["text"]))
    elif name == "slow":
        time.sleep(arguments["seconds"])
        note("cancelled" if identifier in CANCELLED else "finished")
        result(identifier, text("done"))
    elif name == "progress":
        token = params.get("_meta", {}).get("progressToken")
        end, step = time.time() + arguments["seconds"], 0
        while time.time() < end:
            time.sleep(0.1)
            step += 1
            send({"jsonrpc": "2.0", "method": "notifications/progress",
                  "params": {"progressToken": token, "progress": step}})
        result(identifier, text("done"))
    elif name == "big":
        result(identifier, text("0123456789" * (int(arguments["bytes"]) // 10)))
    elif name == "picture":
        result(identifier, {"content": [{"type": "text", "text": "see"},
                                        {"type": "image", "data": "AAAA", "mimeType": "image/png"}],
                            "structuredContent": {"n": 1}})
    elif name == "crash":
        sys.stderr.write("out of cheese\n")
        sys.stderr.flush()
        os._exit(7)
    elif name == "variable":
        result(identifier, text(os.environ.get(arguments["name"], "unset")))
    elif name == "refuse":
        error(identifier, -32602, "not today")
    elif name == "fail":
        result(identifier, text("it failed", True))
    elif name == "pid":
        result(identifier, text(str(os.getpid())))
    elif name == "bump":
        send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        result(identifier, text("told"))
    elif name == "ask":
        said = [ask("elicitation/create", {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}),
                ask("sampling/createMessage", {"messages": [], "maxTokens": 1}), ask("roots/list", {})]
        result(identifier, text(json.dumps(said)))
    else:
        result(identifier, text(f"called {name} with {json.dumps(arguments)}"))


def handle(message):
    method, identifier = message.get("method"), message.get("id")
    if method is None:
        waiting = PENDING.get(identifier)
        if waiting:
            waiting.value = message.get("result", message.get("error"))
            waiting.set()
        return
    if method == "notifications/cancelled":
        CANCELLED.append(message["params"]["requestId"])
        note("told of cancellation")
        return
    if identifier is None:
        return
    params = message.get("params") or {}
    if KIND == "hang":
        return
    if method == "initialize":
        if KIND == "stateless":
            return error(identifier, -32022, "unsupported protocol version")
        result(identifier, {"protocolVersion": params["protocolVersion"],
                            "capabilities": {"tools": {"listChanged": True}, "logging": {}},
                            "serverInfo": {"name": "fixture", "version": "1.2"}})
    elif method == "server/discover":
        if KIND != "stateless":
            return error(identifier, -32601, "method not found")
        result(identifier, {"resultType": "complete", "supportedVersions": ["2026-07-28"],
                            "capabilities": {"tools": {"listChanged": True}},
                            "serverInfo": {"name": "fixture", "version": "2"}, "ttlMs": 0, "cacheScope": "private"})
    elif method == "tools/list":
        if KIND == "endless":
            cursor = int(params.get("cursor") or 0)
            result(identifier, {"tools": [tool(f"t{cursor}")], "nextCursor": str(cursor + 1)})
        elif KIND == "no_list":
            error(identifier, -32603, "no list today")
        elif KIND == "stateless":
            result(identifier, {"resultType": "complete", "tools": tools(), "ttlMs": 0, "cacheScope": "private"})
        else:
            result(identifier, {"tools": tools()})
    elif method == "tools/call":
        threading.Thread(target=call, args=(identifier, params), daemon=True).start()
    elif method == "ping":
        result(identifier, {})
    elif method == "subscriptions/listen":
        meta = {"io.modelcontextprotocol/subscriptionId": identifier}
        send({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
              "params": {"notifications": {"toolsListChanged": True}, "_meta": meta}})
    else:
        error(identifier, -32601, "method not found")


def main():
    note(f"start {os.getpid()}")
    if KIND == "die":
        sys.stderr.write("using key " + os.environ.get("KEY", "") + "\n")
        sys.stderr.write("ImportError: no module named cheese\n")
        sys.exit(3)
    if KIND == "deaf":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        # A child of its own session, as deaf: the whole tree has to end.
        child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)"],
                                 start_new_session=True)
        note(f"child {child.pid}")
    if KIND == "noisy":
        sys.stderr.write("noise " * 80_000 + "\n")
        sys.stdout.write("not JSON at all\n\n{\"half\": \n")
        sys.stdout.flush()
    for line in sys.stdin:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        handle(message)
    if KIND == "deaf":
        time.sleep(600)


main()
