"""Collects checks, runs them in order, and counts. A check is a function that asserts."""

import json
import os
import sys
import time
import traceback
import urllib.request

URL = os.environ["HAIA_URL"]
KEY = os.environ["HAIA_KEY"]
READ_KEY = os.environ["HAIA_READ_KEY"]
SIM = os.environ["SIM_URL"]
FORMATS = ["openai", "anthropic", "ollama"]
HELLO = "Hello from the simulated model."
TOOL = {
    "type": "function",
    "function": {
        "name": "look_outside",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

_checks = []


def check(function):
    """Registers a check."""
    _checks.append(function)
    return function


def ask(text="What is going on?"):
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def sim(path):
    """What the simulated provider tells of itself."""
    with urllib.request.urlopen(f"{SIM}/sim/{path}", timeout=10) as answer:
        return json.load(answer)


def left(model):
    """How many requests to this model the daemon has left."""
    return sum(1 for one in sim("exchanges") if one["model"] == model and one["outcome"] == "left")


def eventually(what, condition):
    """Waits for a condition; only a failure reaches the deadline."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def raises(kind, call):
    """The error of that very class that `call` raises."""
    try:
        call()
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}"
        return error
    raise AssertionError(f"no {kind.__name__}")


def main():
    """Runs every check."""
    failed = 0
    for function in _checks:
        try:
            function()
        except Exception:  # noqa: BLE001 - whatever it is, it is this check's failure
            failed += 1
            print(f"FAILED python {function.__name__}\n{traceback.format_exc()}")
        else:
            print(f"ok python {function.__name__}")
    print(f"{len(_checks) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
