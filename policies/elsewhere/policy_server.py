"""Serves a policy from its own Python environment.

This file needs Python 3.8, numpy, websockets and msgpack, and nothing else of Assay. Copy it to
where your policy runs:

    python policy_server.py my_policy.py:MyPolicy --port 8000
    assay run --policy remote:ws://127.0.0.1:8000 --benchmark libero_object    # where Assay is

MyPolicy is a function, or a class whose objects can be called. (With lerobot_adapter.py beside this
file it may also have LeRobot's interface.) The call gets an observation:
``image`` (uint8 arrays by camera role), ``state`` (float32) and ``instruction``. It returns
actions of shape (length, action size). A parameter ``memory`` gets a dict of the episode, another
second one a NumPy generator. Optional attributes: ``name``, ``cameras``, ``image_size``,
``chunk_length``, ``files``, ``state_layout`` and ``action_layout``: lists of (name, size, meaning).
"""

import argparse
import ast
import contextlib
import functools
import hashlib
import hmac
import importlib.util
import inspect
import json
import os
import random
import sys
import threading
import time
import traceback
from collections import OrderedDict

import msgpack
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

LARGEST_MESSAGE, MOST_MEMORIES = 64 * 2**20, 256
KEYS = {"main": "observation/image", "wrist": "observation/wrist_image"}
ATTRIBUTES = ("name", "cameras", "image_size", "chunk_length", "state_layout", "action_layout")


def _required(function):
    simple = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(function).parameters.items()
    return [name for name, p in found if p.kind in simple and p.default is p.empty]


def _imported(path, name):
    """Return a class or function of a file."""
    if not os.path.isfile(path):
        sys.exit(f"there is no file {path!r}; give FILE.py:NAME")
    path = os.path.abspath(path)
    sys.path.append(os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("served_policy", path)
    module = sys.modules["served_policy"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    target = getattr(module, name, None)
    if not callable(target):
        sys.exit(f"{path} has no class or function {name}")
    return target


def _stated(target):
    """Return what a class, function or object states of itself."""
    act = target.__call__ if isinstance(target, type) else target
    stated = {each: getattr(target, each, None) for each in ATTRIBUTES}
    stated["remembers"] = "memory" in inspect.signature(act).parameters
    if isinstance(stated["cameras"], str):
        sys.exit(f"cameras must be a tuple; write cameras = ({stated['cameras']!r},)")
    return stated


def _created(target, arguments):
    """Return the policy: a new object of a class or factory, otherwise the function itself."""
    is_factory = isinstance(target, type) or arguments or not _required(target)
    act = target(**arguments) if is_factory else target
    if hasattr(act, "select_action") or hasattr(act, "predict_action_chunk"):
        return importlib.import_module("lerobot_adapter").Adapter(act)
    return act


class _Images(dict):
    def __missing__(self, role):
        raise KeyError(f"{role!r} is not in the policy's cameras = {tuple(self)}; add it there")


class Served:
    """A policy and what it remembers; it answers one request at a time."""

    def __init__(self, act, name):
        self._act, self._lock, self._memories = act, threading.Lock(), OrderedDict()
        self._more, stated = _required(act)[1:], _stated(act)
        self._optional = stated["remembers"] and "memory" not in self._more
        roles = list(stated["cameras"] or ())
        self._keys = {role: KEYS.get(role, f"observation/{role}_image") for role in roles}
        state = [{"key": "observation/state", "size": None}]
        keys = {"images": self._keys, "state": state, "prompt": "prompt"}
        self.greeting = {**stated, "policy": name, "cameras": roles, "keys": keys}

    def answer(self, request, client, calls):
        """Answer a request of Assay or of openpi's client."""
        place = request.get("assay/episode", {"client": client, "call": calls})
        own = hashlib.sha256(str(calls).encode()).digest()[:16]
        key = request.get("assay/stream", np.frombuffer(own, np.uint64))
        state = np.asarray(request.get("observation/state", ()), np.float32).reshape(-1)
        state.flags.writeable = False
        images = _Images((role, request[key]) for role, key in self._keys.items())
        observation = {"image": images, "state": state, "instruction": str(request["prompt"])}
        with self._lock:
            memory = self._memory(str(place["client"]), int(place["call"]))
            if memory is None:
                return {"assay/memory_lost": True, "server_timing": {}}
            start = time.monotonic()
            actions = self._ask(observation, key, memory)
            taken = {"infer_ms": 1000 * (time.monotonic() - start)}
        reason = _problem(actions)
        if reason and "assay/episode" not in request:
            raise ValueError(reason)
        if reason:
            return {"assay/policy_error": reason, "server_timing": {}}
        timing = {"evaluations": 1, "inexact": False, **taken}
        return {"actions": actions, "policy_timing": timing, "server_timing": taken}

    def _memory(self, client, call):
        """Return the memory of an episode, or None if it is lost."""
        calls, memory = self._memories.pop(client, (-1, {}))
        if call == 0:
            calls, memory = 0, {}
        if calls != call:
            return None
        self._memories[client] = (calls + 1, memory)
        while len(self._memories) > MOST_MEMORIES:
            self._memories.popitem(last=False)
        return memory

    def _ask(self, observation, key, memory):
        stream = np.random.Generator(np.random.Philox(key=key))
        seed = int(key[0]) % 2**32
        random.seed(seed)
        np.random.seed(seed)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(seed)
        more = [memory if name == "memory" else stream for name in self._more]
        chunk = self._act(observation, *more, **({"memory": memory} if self._optional else {}))
        if hasattr(chunk, "detach"):
            chunk = chunk.detach().cpu()
            chunk = (chunk.float() if chunk.is_floating_point() else chunk).numpy()
        return chunk


def _problem(actions):
    """Return why a chunk must not reach a robot, or None."""
    if getattr(actions, "ndim", 0) != 2 or actions.dtype.kind != "f" or not len(actions):
        got = getattr(actions, "shape", type(actions).__name__)
        return f"policy_shape: expected floats of shape (length, action size), got {got}"
    return None if np.isfinite(actions).all() else "policy_nan: the actions are not finite"


def _encoded(value):
    fields = {b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    return {b"__ndarray__": True, **fields}


def _decoded(fields):
    """Decode an array; NumPy checks its size."""
    if b"__ndarray__" not in fields:
        return fields
    dtype = np.dtype(fields[b"dtype"])
    if dtype.kind not in "biuf":
        raise ValueError("an array must hold plain numbers")
    return np.frombuffer(fields[b"data"], dtype).reshape(fields[b"shape"])


def _talk(served, tell, connection):
    """Answer one client until it leaves or sends a wrong request."""
    calls, limits = 0, {"max_array_len": 10000, "max_map_len": 10000}
    try:
        connection.send(msgpack.packb({"assay": served.greeting}))
        while True:
            request = msgpack.unpackb(connection.recv(), object_hook=_decoded, **limits)
            reply = served.answer(request, str(connection.id), calls)
            reply["assay/question"] = request.get("assay/question")
            connection.send(msgpack.packb(reply, default=_encoded))
            calls += 1
    except ConnectionClosed:
        return
    except BaseException:  # noqa: BLE001 - the client is told, also of a sys.exit
        lines = traceback.format_exc()
        tell(lines)
        connection.send(lines[-20000:])
        connection.close(1011, "the previous frame holds the error")


def _arguments(text):
    """Return ARGUMENT=VALUE,...; a value is a Python literal, otherwise a text."""
    pairs = dict(part.partition("=")[::2] for part in text.split(",") if part)
    for name, value in pairs.items():
        with contextlib.suppress(ValueError, SyntaxError):
            pairs[name] = ast.literal_eval(value)
    return pairs


def main():
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", metavar="FILE.py:NAME[,ARGUMENT=VALUE,...]")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for other machines")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--name", help="the policy's identity (default: NAME@HASH of its file)")
    parser.add_argument("--describe", action="store_true", help="print what it states, and end")
    parser.add_argument("--owned", action="store_true", help="end when standard input closes")
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What the policy prints must not mix with these answers.
    source, _, given = options.source.partition(",")
    path, _, name = source.rpartition(":")
    target = _imported(path, name)
    if options.describe:
        files = list(map(str, getattr(target, "files", ())))
        chunks = hasattr(target, "predict_action_chunk")
        print(json.dumps({**_stated(target), "files": files, "chunks": chunks}), file=answers)
        return
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read() + given.encode()).hexdigest()[:10]
    key = os.environ.pop("ASSAY_API_KEY", "")
    act = _created(target, _arguments(given))
    served = Served(act, options.name or f"{getattr(act, 'name', name)}@{digest}")

    def admit(connection, request):
        sent = request.headers.get("Authorization", "").encode()
        if key and not hmac.compare_digest(sent, f"Api-Key {key}".encode()):
            return connection.respond(401, "send Authorization: Api-Key ...\n")

    settings = {"max_size": LARGEST_MESSAGE, "compression": None, "origins": [None]}
    settings.update(process_request=admit, host=options.host, port=options.port)
    tell = (lambda lines: None) if options.owned else print
    server = serve(functools.partial(_talk, served, tell), **settings)
    print(json.dumps({"port": server.socket.getsockname()[1]}), file=answers, flush=True)
    if options.owned:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.buffer.read()
        os._exit(0)
    server.serve_forever()


if __name__ == "__main__":
    main()
