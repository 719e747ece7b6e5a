"""An MCP server on standard input and output with everything that the conformance tool looks for, in the revision that is named: 2025-11-25, where
it sends requests of its own, or 2026-07-28, where its results ask. HAIA attaches it, and the tool speaks to it through HAIA. Only the standard
library."""

import hashlib
import hmac
import json
import sys
import threading
import time

REVISION = sys.argv[1]
MODERN = REVISION >= "2026-07-28"
META = "io.modelcontextprotocol/"
LOCK = threading.Lock()
PENDING = {}
CHANGES = {"tools": 0, "prompts": 0}
LISTENERS = {}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
SECRET = b"only this process knows it"


def send(message):
    with LOCK:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def notify(method, **params):
    send({"method": method, "params": params})


def ask(method, **params):
    """Sends a request to the client and waits for its answer; None where it refuses."""
    identifier = f"fixture-{len(PENDING)}"
    PENDING[identifier] = waiting = {"event": threading.Event(), "answer": None}
    send({"id": identifier, "method": method, "params": params})
    waiting["event"].wait(30)
    return waiting["answer"]


class Refused(Exception):
    def __init__(self, code, message, data=None):
        super().__init__(message)
        self.error = {"code": code, "message": message, **({"data": data} if data is not None else {})}


def text(said, **more):
    return {"content": [{"type": "text", "text": said}], **more}


def form(message, **members):
    schema = {"type": "object", "properties": members, "required": list(members)}
    return {"mode": "form", "message": message, "requestedSchema": schema}


STRING, BOOLEAN = {"type": "string"}, {"type": "boolean"}
ELICIT, SAMPLE, ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"


def sampling(prompt):
    return {"messages": [{"role": "user", "content": {"type": "text", "text": prompt}}], "maxTokens": 100}


# ---- tools that need nobody

def embedded():
    return {"type": "resource", "resource": {"uri": "test://embedded", "mimeType": "text/plain", "text": "An embedded resource."}}


def image():
    return {"type": "image", "data": PNG, "mimeType": "image/png"}


def logging(request):
    wanted = not MODERN or request.meta.get(META + "logLevel")
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        if wanted:
            notify("notifications/message", level="info", logger="fixture", data=said)
        time.sleep(0.05)
    return text("It was logged.")


def progress(request):
    token = request.meta.get("progressToken")
    for done in (0, 50, 100):
        if token is not None:
            notify("notifications/progress", progressToken=token, progress=done, total=100, message=f"{done} of 100")
        time.sleep(0.05)
    return text("It is done.")


def change(which):
    def changed(_):
        CHANGES[which] += 1
        method = f"notifications/{which}/list_changed"
        if MODERN:
            for identifier, wanted in list(LISTENERS.items()):
                if wanted.get(f"{which}ListChanged"):
                    notify(method, _meta={META + "subscriptionId": identifier})
        else:
            send({"method": method})
        return text("It has changed.")
    return changed


# ---- tools that ask: over requests of their own (2025-11-25)

def elicit(request):
    answer = ask(ELICIT, **form(request.arguments.get("message", "?"), username=STRING, email=STRING))
    return text(f"User response: {json.dumps(answer)}")


def defaults(_):
    members = {
        "name": {"type": "string", "default": "John Doe"}, "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    schema = {"type": "object", "properties": members, "required": []}
    answer = ask(ELICIT, mode="form", message="Look it over, please.", requestedSchema=schema)
    return text(f"Elicitation completed: {json.dumps(answer)}")


def enums(_):
    def titled(*words):
        return [{"const": f"value{at}", "title": f"{word} of them"} for at, word in enumerate(words, 1)]
    members = {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": titled("First", "Second", "Third")},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("First", "Second", "Third")}},
    }
    schema = {"type": "object", "properties": members, "required": []}
    answer = ask(ELICIT, mode="form", message="Choose, please.", requestedSchema=schema)
    return text(f"Elicitation completed: {json.dumps(answer)}")


def sample(request):
    answer = ask(SAMPLE, **sampling(request.arguments.get("prompt", "?")))
    return text(f"LLM response: {json.dumps(answer)}")


# ---- tools that ask: by their results (2026-07-28)

def signed(state):
    return state + "." + hmac.new(SECRET, state.encode(), hashlib.sha256).hexdigest()


def checked(state):
    plain, _, _ = (state or "").rpartition(".")
    if not plain or not hmac.compare_digest(signed(plain), state):
        raise Refused(-32602, "the request state is not the one that was given out")
    return plain


def required(requests, state=None):
    asked = {key: {"method": method, "params": params} for key, (method, params) in requests.items()}
    return {"resultType": "input_required", "inputRequests": asked, **({"requestState": signed(state)} if state else {})}


def answered(request, *keys):
    """The answers, if all that are needed came."""
    answers = request.params.get("inputResponses")
    if not isinstance(answers, dict) or any(key not in answers for key in keys):
        return None
    if any(not isinstance(answers[key], dict) for key in keys):
        raise Refused(-32602, "an answer is no object")
    return answers


def asking(requests, state=None, says=lambda answers: json.dumps(answers)):
    def called(request):
        answers = answered(request, *requests)
        if answers is None:
            return required(requests, state)
        if state:
            checked(request.params.get("requestState"))
        return text(says(answers))
    return called


NAME = (ELICIT, form("What is your name?", name=STRING))
CONFIRM = (ELICIT, form("Is it right?", ok=BOOLEAN))


def rounds(request):
    answers = request.params.get("inputResponses") or {}
    if "step2" in answers and checked(request.params.get("requestState")) == "second":
        return text("All is answered.")
    if "step1" in answers and checked(request.params.get("requestState")) == "first":
        return required({"step2": (ELICIT, form("Which colour?", color=STRING))}, "second")
    return required({"step1": NAME}, "first")


def able(request):
    able_to = request.meta.get(META + "clientCapabilities") or {}
    requests = {}
    if "elicitation" in able_to:
        requests["form"] = NAME
    if "sampling" in able_to:
        requests["model"] = (SAMPLE, sampling("Say something."))
    if request.params.get("inputResponses") or not requests:
        return text(f"It can do {sorted(able_to)}.")
    return required(requests)


def needy(request):
    if "sampling" not in (request.meta.get(META + "clientCapabilities") or {}):
        raise Refused(-32021, "the client cannot be asked for samples", {"requiredCapabilities": {"sampling": {}}})
    return text("It can.")


def streaming(request):
    time.sleep(0.1)
    return asking({"user_name": NAME})(request)


TOOLS = {
    "test_simple_text": (lambda _: text("This is a simple text response for testing."), ()),
    "test_image_content": (lambda _: {"content": [image()]}, ()),
    "test_audio_content": (lambda _: {"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]}, ()),
    "test_embedded_resource": (lambda _: {"content": [embedded()]}, ()),
    "test_multiple_content_types": (lambda _: {"content": [{"type": "text", "text": "Three kinds:"}, image(), embedded()]}, ()),
    "test_error_handling": (lambda _: text("This tool always fails.", isError=True), ()),
    "test_tool_with_progress": (progress, ()),
    "test_trigger_tool_change": (change("tools"), ()),
    "test_trigger_prompt_change": (change("prompts"), ()),
}
if MODERN:
    TOOLS |= {
        "test_logging_tool": (logging, ()),
        "test_missing_capability": (needy, ()),
        "test_streaming_elicitation": (streaming, ()),
        "test_input_required_result_elicitation": (asking({"user_name": NAME}), ()),
        "test_input_required_result_sampling": (asking({"capital_question": (SAMPLE, sampling("What is the capital of France?"))}), ()),
        "test_input_required_result_list_roots": (asking({"client_roots": (ROOTS, {})}), ()),
        "test_input_required_result_request_state": (asking({"confirm": CONFIRM}, "asked", lambda _: "state-ok"), ()),
        "test_input_required_result_tampered_state": (asking({"confirm": CONFIRM}, "asked"), ()),
        "test_input_required_result_multiple_inputs": (asking({
            "user_name": NAME, "greeting": (SAMPLE, sampling("Greet.")), "client_roots": (ROOTS, {})}, "asked"), ()),
        "test_input_required_result_multi_round": (rounds, ()),
        "test_input_required_result_capabilities": (able, ()),
    }
else:
    TOOLS |= {
        "test_tool_with_logging": (logging, ()),
        "test_sampling": (sample, ("prompt",)),
        "test_elicitation": (elicit, ("message",)),
        "test_elicitation_sep1034_defaults": (defaults, ()),
        "test_elicitation_sep1330_enums": (enums, ()),
    }


def tools():
    listed = [{"name": name, "description": f"The conformance tool looks for {name}.", "inputSchema": {
        "type": "object", "properties": {member: STRING for member in needs}, "required": list(needs)}}
        for name, (_, needs) in TOOLS.items()]
    changes = [{"name": f"test_change_{at}", "description": "It came later.", "inputSchema": {"type": "object", "properties": {}}}
               for at in range(CHANGES["tools"])]
    return listed + changes


RESOURCES = [
    {"uri": "test://static-text", "name": "static-text", "mimeType": "text/plain", "description": "A text."},
    {"uri": "test://static-binary", "name": "static-binary", "mimeType": "image/png", "description": "A picture."},
    {"uri": "test://watched-resource", "name": "watched", "mimeType": "text/plain", "description": "It changes."},
]
TEMPLATES = [{"uriTemplate": "test://template/{id}/data", "name": "template", "mimeType": "application/json", "description": "By number."}]


def read(uri):
    if uri == "test://static-binary":
        return {"contents": [{"uri": uri, "mimeType": "image/png", "blob": PNG}]}
    if uri in ("test://static-text", "test://watched-resource"):
        return {"contents": [{"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."}]}
    number = uri.removeprefix("test://template/").removesuffix("/data")
    if f"test://template/{number}/data" == uri:
        said = json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})
        return {"contents": [{"uri": uri, "mimeType": "application/json", "text": said}]}
    raise Refused(-32602 if MODERN else -32002, "there is no such resource", {"uri": uri})


def says(*contents):
    return {"messages": [{"role": "user", "content": content} for content in contents]}


def words(said):
    return {"type": "text", "text": said}


def prompt_embedded(request):
    uri = request.arguments.get("resourceUri", "test://example")
    resource = {"type": "resource", "resource": {"uri": uri, "mimeType": "text/plain", "text": "An embedded resource."}}
    return says(resource, words("What is in it?"))


def prompt_asking(request):
    answers = answered(request, "user_context")
    if answers is None:
        return required({"user_context": (ELICIT, form("Which context?", context=STRING))})
    return says(words(json.dumps(answers)))


PROMPTS = {
    "test_simple_prompt": (lambda _: says(words("This is a simple prompt for testing.")), ()),
    "test_prompt_with_arguments": (
        lambda request: says(words("arg1='{arg1}', arg2='{arg2}'".format(**request.arguments))), ("arg1", "arg2")),
    "test_prompt_with_embedded_resource": (prompt_embedded, ("resourceUri",)),
    "test_prompt_with_image": (lambda _: says(image(), words("What is to be seen?")), ()),
}
if MODERN:
    PROMPTS["test_input_required_result_prompt"] = (prompt_asking, ())


def prompts():
    return [{"name": name, "description": f"The conformance tool looks for {name}.",
             "arguments": [{"name": need, "description": "Something.", "required": True} for need in needs]}
            for name, (_, needs) in PROMPTS.items()]


class Request:
    def __init__(self, message):
        self.identifier, self.method = message["id"], message["method"]
        self.params = message.get("params") or {}
        self.meta = self.params.get("_meta") or {}
        self.arguments = self.params.get("arguments") or {}

    def of(self, known, what):
        name = self.params.get("name")
        if name not in known:
            raise Refused(-32602, f"there is no such {what}: {name}")
        return known[name][0](self)

    def result(self):
        match self.method:
            case "initialize" if not MODERN:
                return {"protocolVersion": REVISION, "capabilities": CAPABILITIES | {"logging": {}}, "serverInfo": SOFTWARE}
            case "server/discover" if MODERN:
                return {"supportedVersions": [REVISION], "capabilities": CAPABILITIES, "serverInfo": SOFTWARE}
            case "ping" if not MODERN:
                return {}
            case "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" if not MODERN:
                return {}
            case "tools/list":
                return {"tools": tools()}
            case "tools/call":
                return self.of(TOOLS, "tool")
            case "resources/list":
                return {"resources": RESOURCES}
            case "resources/templates/list":
                return {"resourceTemplates": TEMPLATES}
            case "resources/read":
                return read(self.params.get("uri", ""))
            case "prompts/list":
                return {"prompts": prompts()}
            case "prompts/get":
                return self.of(PROMPTS, "prompt")
            case "completion/complete":
                return {"completion": {"values": ["test-one", "test-two"], "total": 2, "hasMore": False}}
            case "subscriptions/listen" if MODERN:
                LISTENERS[self.identifier] = wanted = self.params.get("notifications") or {}
                notify("notifications/subscriptions/acknowledged", notifications=wanted,
                       _meta={META + "subscriptionId": self.identifier})
                return None
            case _:
                raise Refused(-32601, f"there is no method {self.method}")

    def answer(self):
        try:
            result = self.result()
        except Refused as refused:
            send({"id": self.identifier, "error": refused.error})
            return
        if result is None:
            return
        if MODERN:
            result = {"resultType": "complete", **result}
            if self.method.endswith(("/list", "/discover", "/read")):
                result |= {"ttlMs": 0, "cacheScope": "private"}
        send({"id": self.identifier, "result": result})


SOFTWARE = {"name": "conformance-fixture", "version": REVISION}
CAPABILITIES = {"tools": {"listChanged": True}, "resources": {} if MODERN else {"subscribe": True},
                "prompts": {"listChanged": True}, "completions": {}}
for line in sys.stdin:
    message = json.loads(line)
    if "method" in message and "id" in message:
        threading.Thread(target=Request(message).answer, daemon=True).start()
    elif "id" in message and message["id"] in PENDING:
        PENDING[message["id"]]["answer"] = message.get("result")
        PENDING[message["id"]]["event"].set()
