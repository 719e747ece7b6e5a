"""MCP servers on the network, old and new, that behave as a test asks. Only the standard library. Writes its port to standard output."""
import json
import os
import queue
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KIND = sys.argv[1]
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
SESSIONS = {}
STATE = {"initialized": 0, "calls": 0, "revision": 0, "connections": 0, "listeners": []}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
OPEN = {"type": "object", "properties": {}}


def tools():
    found = [{"name": "echo", "description": "Says it again.", "inputSchema": TEXT},
             {"name": "header", "inputSchema": OPEN}, {"name": "forget", "inputSchema": OPEN},
             {"name": "stats", "inputSchema": OPEN}, {"name": "change", "inputSchema": OPEN},
             {"name": "stop", "inputSchema": OPEN}]
    if STATE["revision"]:
        found.append({"name": "later", "inputSchema": OPEN})
    return found


def text(said):
    return {"content": [{"type": "text", "text": said}]}


def answer(message, handler):
    """The result of a request, or an error."""
    method, params = message["method"], message.get("params") or {}
    if method == "initialize":
        if KIND == "stateless":
            return None, {"code": -32022, "message": "unsupported", "data": {"supported": ["2026-07-28"]}}
        STATE["initialized"] += 1
        return {"protocolVersion": "2025-06-18" if KIND == "events" else params["protocolVersion"],
                "capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": KIND, "version": "1"}}, None
    if method == "server/discover":
        if KIND != "stateless":
            return None, {"code": -32601, "message": "method not found"}
        return {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": {"name": KIND, "version": "2"}, "ttlMs": 0, "cacheScope": "private"}, None
    if method == "tools/list":
        result = {"tools": tools()}
        if KIND == "stateless":
            result.update({"resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
        return result, None
    if method == "tools/call":
        STATE["calls"] += 1
        name, arguments = params["name"], params.get("arguments") or {}
        if name == "echo":
            result = text(arguments["text"])
        elif name == "header":
            result = text(handler.headers.get("Authorization", "none"))
        elif name == "forget":
            SESSIONS.clear()
            result = text("forgotten")
        elif name == "stats":
            result = text(json.dumps({key: value for key, value in STATE.items() if isinstance(value, int)}))
        elif name == "change":
            STATE["revision"] = 1
            for listener in list(STATE["listeners"]):
                listener.put({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
            result = text("changed")
        elif name == "stop":
            threading.Timer(0.05, lambda: os._exit(0)).start()
            result = text("stopping")
        else:
            result = text(f"called {name}")
        if KIND == "stateless":
            result["resultType"] = "complete"
        return result, None
    if method == "ping":
        return {}, None
    return None, {"code": -32601, "message": "method not found"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in two packets: whoever waits for an acknowledgement between them shows the 40 ms step.
    wbufsize = 0
    disable_nagle_algorithm = True

    def setup(self):
        STATE["connections"] += 1
        super().setup()

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", kind="application/json", **headers):
        self.send_response(status)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, listener, first=None):
        """An event stream that ends when the client goes away."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        if first:
            self.wfile.write(first)
        STATE["listeners"].append(listener)
        try:
            while True:
                try:
                    message = listener.get(timeout=0.5)
                    self.wfile.write(b"event: message\ndata: " + json.dumps(message).encode() + b"\n\n")
                except queue.Empty:
                    self.wfile.write(b": still here\n\n")
        except OSError:
            pass
        finally:
            STATE["listeners"].remove(listener)

    def do_GET(self):
        if KIND == "events" and self.path.startswith("/sse"):
            session = uuid.uuid4().hex
            SESSIONS[session] = queue.Queue()
            return self.stream(SESSIONS[session], f"event: endpoint\ndata: /messages?session={session}\n\n".encode())
        if KIND == "session" and self.headers.get("Mcp-Session-Id") in SESSIONS:
            return self.stream(queue.Queue())
        return self.reply(405 if KIND != "events" else 404)

    def do_DELETE(self):
        SESSIONS.pop(self.headers.get("Mcp-Session-Id"), None)
        self.reply(204)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if KIND == "events":
            return self.post_events(body)
        if KIND == "silent":
            time.sleep(600)
        if KIND == "locked" and self.headers.get("Authorization") != "Bearer hush-hush-token":
            return self.reply(401, b'{"error":"no key"}', WWW_Authenticate="Bearer")
        message = json.loads(body)
        if "id" not in message or "method" not in message:
            return self.reply(202)
        headers = {}
        if KIND == "session":
            session = self.headers.get("Mcp-Session-Id")
            if message["method"] == "initialize":
                session = uuid.uuid4().hex
                SESSIONS[session] = True
                headers["Mcp_Session_Id"] = session
            elif message["method"] != "server/discover" and session not in SESSIONS:
                return self.reply(404, b'{"error":"no such session"}')
        if message["method"] == "subscriptions/listen":
            listener = queue.Queue()
            meta = {"io.modelcontextprotocol/subscriptionId": message["id"]}
            listener.put({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                          "params": {"notifications": {"toolsListChanged": True}, "_meta": meta}})

            class Marked(queue.Queue):
                def put(self, item, *rest, **more):
                    item = json.loads(json.dumps(item))
                    item.setdefault("params", {}).setdefault("_meta", {}).update(meta)
                    super().put(item, *rest, **more)

            marked = Marked()
            marked.put(listener.get())
            return self.stream(marked)
        result, error = answer(message, self)
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        reply.update({"error": error} if error else {"result": result})
        text = json.dumps(reply).encode()
        if KIND == "streamed":
            text, kind = b"event: message\ndata: " + text + b"\n\n", "text/event-stream"
        else:
            kind = "application/json"
        self.reply(200, text, kind, **headers)

    def post_events(self, body):
        session = self.path.partition("session=")[2]
        if not self.path.startswith("/messages") or session not in SESSIONS:
            return self.reply(404)
        self.reply(202)
        message = json.loads(body)
        if "id" in message and "method" in message:
            result, error = answer(message, self)
            reply = {"jsonrpc": "2.0", "id": message["id"]}
            reply.update({"error": error} if error else {"result": result})
            SESSIONS[session].put(reply)


server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
