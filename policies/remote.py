"""A policy behind a policy server, either Assay's or openpi's own."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from harness.contracts.errors import (
    LONGEST_MESSAGE,
    MemoryLost,
    PolicyError,
    UsageError,
    require_known,
)
from harness.contracts.foreign_text import error_line
from harness.contracts.policy import ActionChunk, Policy, PolicySpec, Query
from harness.contracts.registry import SAFE_NAME
from harness.contracts.spec import stream_key
from harness.contracts.vectors import EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION
from harness.serving.api_key import read_api_key
from harness.serving.codec import WireError, pack
from harness.serving.connection import Connection, Endpoint
from harness.serving.greeting import (
    EPISODE_KEY,
    MEMORY_LOST,
    POLICY_ERROR,
    STREAM_KEY,
    Greeting,
    read_greeting,
)
from harness.serving.keys import ObservationKeys

_CONNECTION_OPTIONS = ("timeout", "patience", "api-key-file")
_MOST_EVALUATIONS = 10**6
"""Forward passes that a server may state for an answer; a wrong number counts as one pass."""
_SPEC_OPTIONS = ("name", "cameras", "layout", "state", "prompt", "image.ROLE")
"""Options that describe the policy of an openpi server, which sends no spec."""


@dataclass(frozen=True)
class ServerReference:
    """A server's address and its options, from the command line."""

    address: str
    options: Mapping[str, str]

    @classmethod
    def parse(cls, source: str) -> "ServerReference":
        """Parse ``ws://HOST:PORT?OPTION=VALUE&...``.

        Raises:
            UsageError: The address is malformed, or an option is unknown or given twice.
        """
        try:
            parts = urlsplit(source)
            port = parts.port
        except ValueError:  # E.g. a port that is no number.
            parts, port = urlsplit(""), None
        names_a_host = parts.scheme in ("ws", "wss") and parts.hostname and not parts.username
        if not names_a_host or port == 0:
            raise UsageError(
                f"{source[:200]!r} is not ws://HOST:PORT, e.g. remote:ws://127.0.0.1:8000"
            )
        try:
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError as error:
            raise UsageError(f"{parts.query!r} is not OPTION=VALUE&OPTION=VALUE") from error
        for name, _ in pairs:
            known = (*_CONNECTION_OPTIONS, *_SPEC_OPTIONS)
            require_known("option of remote", _option_kind(name), known)
        if len(dict(pairs)) < len(pairs):
            raise UsageError(f"an option is given twice in {parts.query!r}; give it once")
        return cls(f"{parts.scheme}://{parts.netloc}{parts.path}", dict(pairs))

    def endpoint(self) -> Endpoint:
        """Return the connection settings."""
        endpoint = Endpoint(address=self.address)
        file = self.options.get("api-key-file")
        return replace(
            endpoint,
            api_key=read_api_key(Path(file)) if file else "",
            timeout=self._seconds("timeout", endpoint.timeout),
            patience=self._seconds("patience", endpoint.patience),
        )

    def keys(self) -> ObservationKeys:
        """Return the message keys that the server expects."""
        images = {n.partition(".")[2]: k for n, k in self.options.items() if n.startswith("image.")}
        state = self.options.get("state", "")
        return ObservationKeys.parse(
            images, state.split(",") if state else (), self.options.get("prompt", "")
        )

    def spec(self, metadata: Any) -> PolicySpec:
        """Return the policy's spec from the user's options and the server's metadata.

        The policy's identity contains a digest of both.
        """
        options = {n: v for n, v in self.options.items() if n not in _CONNECTION_OPTIONS}
        name = options.get("name", "")
        if name and not SAFE_NAME.fullmatch(name):
            raise UsageError(f"name={name} may only have letters, digits, '.', '_', '+' and '-'")
        layout = options.get("layout", "libero")
        require_known("layout of remote", layout, ("libero", "environment"))
        # Without a name, servers at two addresses are two policies.
        address = "" if name else self.address
        identity = pack([address, sorted(options.items()), metadata])
        libero = layout == "libero"
        return PolicySpec(
            f"{name or 'remote'}@{hashlib.sha256(identity).hexdigest()[:10]}",
            tuple(role for role in options.get("cameras", "main,wrist").split(",") if role),
            EEF_AXIS_ANGLE_STATE if libero else None,
            EEF_DELTA_ACTION if libero else None,
        )

    def _seconds(self, name: str, default: float) -> float:
        text = self.options.get(name)
        try:
            seconds = default if text is None else float(text)
        except ValueError:
            seconds = -1.0
        if not 0 < seconds < float("inf"):
            raise UsageError(f"{name}={text} must be a positive number of seconds")
        return seconds


class ServedPolicy(Policy):
    """Queries a policy server, e.g. remote:ws://127.0.0.1:8000.

    Assay's server sends the policy's spec. The client sends the episode's random stream, so the
    served policy returns the same bits as a local one, under the same identity. openpi's server
    sends no spec; the user describes its policy with options.
    """

    source = "ws://HOST:PORT"
    """The command line's syntax after ``remote:``."""

    batching = "exact"  # Each observation has its own request and connection.
    errors_may_pass = True

    def __init__(self, source: str) -> None:
        """Connect to the server and read the spec of its policy.

        Raises:
            UsageError: No server answers, it is not a policy server, or an option is wrong.
        """
        reference = ServerReference.parse(source)
        greeting, metadata = self._connect(reference.endpoint())
        extra = [name for name in reference.options if name not in _CONNECTION_OPTIONS]
        if greeting is not None and extra:
            raise UsageError(
                f"{reference.address} sends the spec of {greeting.spec.name} itself; "
                f"leave out {', '.join(extra)}"
            )
        self.remembers = greeting is not None and greeting.remembers
        self._keys = reference.keys() if greeting is None else greeting.keys
        self.spec = reference.spec(metadata) if greeting is None else greeting.spec

    def _connect(self, endpoint: Endpoint) -> tuple[Greeting | None, Any]:
        """Connect to a server; return its greeting, unless it is openpi's own, and its metadata."""
        self._endpoint = endpoint
        first = Connection(endpoint)
        try:
            greeting = read_greeting(first.metadata)
        except WireError as error:
            first.close()
            raise UsageError(f"{endpoint.address} is not a policy server: {error}") from error
        self._repeatable = greeting is not None
        self._connections = [first]
        return greeting, first.metadata

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Send all observations at the same time, so that the server can batch them."""
        while len(self._connections) < len(queries):
            self._connections.append(Connection(self._endpoint))
        with ThreadPoolExecutor(len(queries)) as threads:
            replies = list(threads.map(self._reply, self._connections, queries))
        # The server counts a batch once, in each of its replies.
        self.evaluations += max(map(_evaluations, replies))
        self.inexact += sum(map(_inexact, replies))
        return [reply["actions"] for reply in replies]

    def _reply(self, connection: Connection, query: Query) -> Mapping[str, Any]:
        request = self._keys.pack(query.observation)
        if self._repeatable:
            request[STREAM_KEY] = stream_key(query.stream)
            request[EPISODE_KEY] = _place(query)
        try:
            reply = connection.ask(request)
        except WireError as error:
            raise PolicyError(f"policy_reply: {error}") from error
        if isinstance(reply, dict) and reply.get(MEMORY_LOST) is True:
            raise MemoryLost(f"{self._endpoint.address} has lost the memory of the episode")
        if isinstance(reply, dict) and isinstance(reply.get(POLICY_ERROR), str):
            raise PolicyError(error_line(reply[POLICY_ERROR], LONGEST_MESSAGE))
        if not isinstance(reply, dict) or "actions" not in reply:
            few = [key[:40] for key in sorted(reply)[:5]] if isinstance(reply, dict) else None
            has = type(reply).__name__ if few is None else few
            raise PolicyError(f"policy_reply: no actions in the server's reply, but {has}")
        if not self._repeatable:
            self._require_action_size(reply["actions"])
        return reply

    def _require_action_size(self, chunk: Any) -> None:
        """Require actions of the user's layout; another size is a wrong option, not a failure."""
        layout = self.spec.action_layout
        if layout is None or not isinstance(chunk, np.ndarray) or chunk.ndim != 2:
            return
        if chunk.shape[1] != layout.size:
            raise UsageError(
                f"the actions of {self._endpoint.address} have {chunk.shape[1]} numbers, but its "
                f"layout has {layout.size} ({layout}); serve a checkpoint for this benchmark, or "
                f"give layout=environment to use the environment's layout"
            )


def _evaluations(reply: Mapping[str, Any]) -> int:
    """Return the server's count of forward passes; 1 from openpi's server, which sends none."""
    timing = reply.get("policy_timing")
    ran = timing.get("evaluations") if isinstance(timing, dict) else None
    return ran if type(ran) is int and 0 <= ran <= _MOST_EVALUATIONS else 1


def _inexact(reply: Mapping[str, Any]) -> bool:
    timing = reply.get("policy_timing")
    return isinstance(timing, dict) and timing.get("inexact") is True


def _place(query: Query) -> dict[str, Any]:
    """Return the place of a query in its episode, for the server's memory of it."""
    client = query.memory.setdefault("client", uuid.uuid4().hex)
    call = query.memory["calls"] = query.memory.get("calls", -1) + 1
    return {"client": client, "call": call, "step": query.step or 0}


def _option_kind(option: str) -> str:
    """Return the option's name, with any camera's ``image.ROLE`` as one option."""
    return "image.ROLE" if option.startswith("image.") and len(option) > 6 else option
