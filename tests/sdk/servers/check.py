"""Asks the agent to call one tool of each attached server, and looks at how the servers do. Prints a line for each check."""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request

URL, KEY, WORK, PID = (os.environ[name] for name in ("HAIA_URL", "HAIA_KEY", "HAIA_WORK", "HAIA_PID"))
CALLS = {
    "everything": ("everything__echo", {"message": "hello"}, "hello"),
    "filesystem": ("filesystem__read_text_file", {"path": f"{WORK}/files/note.txt"}, "remember the milk"),
    "memory": ("memory__read_graph", {}, "entities"),
    "time": ("time__get_current_time", {"timezone": "Europe/Paris"}, "Europe/Paris"),
    "git": ("git__git_status", {"repo_path": f"{WORK}/repository"}, "No commits yet"),
}
failed = 0


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(URL + path, data, headers), timeout=60) as answer:
        return json.load(answer)


def servers():
    return {server["name"]: server for server in ask("/api/mcp")["servers"]}


def tell(*calls):
    """Has the agent make these calls; what it answers."""
    said = "\n".join(f"call {name} {json.dumps(arguments)}" for name, arguments in calls)
    return ask("/v1/chat/completions", {"model": "haia", "messages": [{"role": "user", "content": said}]})[
        "choices"][0]["message"]["content"]


def check(name, holds, why=""):
    global failed
    failed += not holds
    print(f"{'ok     ' if holds else 'FAILED '} {name}{'' if holds else f': {why}'}", flush=True)


def until(what, look):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"waited in vain for {what}: {json.dumps(servers())[:2000]}")


begun = time.monotonic()
now = until("every server to be ready, and one to have failed", lambda: (
    lambda all_: all_ if all(all_[name]["state"] == "ready" for name in CALLS) and all_["dies"]["state"] == "failed" else None
)(servers()))
print(f"        all attached {time.monotonic() - begun:.1f} s after HAIA listened")
until("their tools to be known", lambda: all("there is no tool" not in tell((tool, arguments)) for tool, arguments, _ in CALLS.values()))
for name, (tool, arguments, said) in CALLS.items():
    server = now[name]
    answer = tell((tool, arguments))
    check(f"{name}: {server['software']}, {server['era']}, {len(server['tools'])} tools, {tool}", said in answer, answer)
answer = tell(*((tool, arguments) for tool, arguments, _ in CALLS.values()))
check("all five in one round", all(said in answer for _, _, said in CALLS.values()), answer)
answer = tell(("filesystem__write_file", {"path": f"{WORK}/files/new.txt", "content": "x"}))
check("a write waits for a person", "approv" in answer and not os.path.exists(f"{WORK}/files/new.txt"), answer)
why = servers()["dies"].get("last_error") or ""
check("the one that dies is told with its last words", "rror" in why, why)
try:
    ask("/health")
    check("HAIA goes on", True)
except urllib.error.URLError as error:
    check("HAIA goes on", False, str(error))
children = [server["pid"] for server in servers().values() if server.get("pid")]
os.kill(int(PID), signal.SIGTERM)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


until("every process to be gone", lambda: not any(is_alive(pid) for pid in children))
check(f"{len(children)} processes have ended with HAIA", True)
print(f"{'nothing' if not failed else failed} failed")
sys.exit(1 if failed else 0)
