"""Asks a policy server: one of this project's, or openpi's own."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from harness.contracts.environment import Observation
from harness.contracts.errors import PolicyError, UsageError, require_known
from harness.contracts.policy import ActionChunk, Policy, PolicySpec
from harness.contracts.registry import SAFE_NAME
from harness.contracts.spec import stream_key
from harness.contracts.vectors import EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION
from harness.serving.api_key import read_api_key
from harness.serving.codec import WireError, pack
from harness.serving.connection import Connection, Endpoint
from harness.serving.greeting import STREAM_KEY, read_greeting
from harness.serving.keys import ObservationKeys

CONNECTION_OPTIONS = ("timeout", "patience", "api-key-file")
STATED_OPTIONS = ("name", "cameras", "layout", "state", "prompt", "image.ROLE")
"""What a user states about a server that says nothing about its policy."""


@dataclass(frozen=True)
class Stated:
    """What the command line says of a server: its address and its options by name."""

    address: str
    options: Mapping[str, str]

    @classmethod
    def parse(cls, source: str) -> "Stated":
        """Read ``ws://HOST:PORT?OPTION=VALUE&...``.

        Raises:
            UsageError: It is no such address, or an option is unknown or given twice.
        """
        parts = urlsplit(source)
        if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.username:
            raise UsageError(f"{source!r} is not ws://HOST:PORT, e.g. remote:ws://127.0.0.1:8000")
        try:
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError as error:
            raise UsageError(f"{parts.query!r} is not OPTION=VALUE&OPTION=VALUE") from error
        for name, _ in pairs:
            known = (*CONNECTION_OPTIONS, *STATED_OPTIONS)
            require_known("option of remote", _kind(name), known)
        if len(dict(pairs)) < len(pairs):
            raise UsageError(f"an option is given twice in {parts.query!r}")
        return cls(f"{parts.scheme}://{parts.netloc}{parts.path}", dict(pairs))

    def endpoint(self) -> Endpoint:
        """Return how to reach the server."""
        endpoint = Endpoint(address=self.address)
        file = self.options.get("api-key-file")
        return replace(
            endpoint,
            api_key=read_api_key(Path(file)) if file else "",
            timeout=self._seconds("timeout", endpoint.timeout),
            patience=self._seconds("patience", endpoint.patience),
        )

    def keys(self) -> ObservationKeys:
        """Return under which keys the server takes an observation."""
        images = {n.partition(".")[2]: k for n, k in self.options.items() if n.startswith("image.")}
        state = self.options.get("state", "")
        return ObservationKeys.parse(
            images, state.split(",") if state else (), self.options.get("prompt", "")
        )

    def spec(self, metadata: Any) -> PolicySpec:
        """Return what the user states of the policy; its identity follows from all of it."""
        options = {n: v for n, v in self.options.items() if n not in CONNECTION_OPTIONS}
        name = options.get("name", "")
        if name and not SAFE_NAME.fullmatch(name):
            raise UsageError(f"name={name} may hold letters, digits, '.', '_', '+' and '-' only")
        layout = options.get("layout", "libero")
        require_known("layout of remote", layout, ("libero", "environment"))
        # Two servers without a name are two policies.
        where = "" if name else self.address
        identity = pack([where, sorted(options.items()), metadata])
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
            raise UsageError(f"{name}={text} is not a number of seconds")
        return seconds


class ServedPolicy(Policy):
    """Asks a policy server, e.g. remote:ws://127.0.0.1:8000.

    A server of this project says which policy it has, and the run is then that policy's: given
    the episode's stream, it answers the bits that the policy would give here. Of a server of
    openpi's own the user states what the policy means.
    """

    source = "ws://HOST:PORT"
    """What the command line expects after the colon."""

    batches = True  # Each observation is asked for on its own, on a connection of its own.

    def __init__(self, source: str) -> None:
        """Meet the server, which says what it serves.

        Raises:
            UsageError: It is not there, it speaks something else, or an option is wrong.
        """
        stated = Stated.parse(source)
        self._endpoint = stated.endpoint()
        first = Connection(self._endpoint)
        try:
            greeting = read_greeting(first.metadata)
        except WireError as error:
            first.close()
            raise UsageError(f"{stated.address} is no policy server: {error}") from error
        extra = [name for name in stated.options if name not in CONNECTION_OPTIONS]
        if greeting is not None and extra:
            raise UsageError(
                f"{stated.address} states {greeting.spec.name}'s spec itself; "
                f"leave out {', '.join(extra)}"
            )
        self._repeatable = greeting is not None
        self._keys = stated.keys() if greeting is None else greeting.keys
        self.spec = stated.spec(first.metadata) if greeting is None else greeting.spec
        self._connections = [first]

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Ask for every observation at the same time, so that the server can make a batch."""
        while len(self._connections) < len(observations):
            self._connections.append(Connection(self._endpoint))
        asked = zip(self._connections, observations, streams, strict=False)
        with ThreadPoolExecutor(len(observations)) as threads:
            replies = list(threads.map(lambda each: self._ask(*each), asked))
        # The server makes a batch of them, and counts it in every reply.
        self.evaluations += max(map(_evaluations, replies))
        return [reply["actions"] for reply in replies]

    def _ask(
        self, connection: Connection, observation: Observation, stream: np.random.Generator
    ) -> Mapping[str, Any]:
        request = self._keys.pack(observation)
        if self._repeatable:
            request[STREAM_KEY] = stream_key(stream)
        try:
            reply = connection.ask(request)
        except WireError as error:
            raise PolicyError(f"policy_reply: {error}") from error
        if not isinstance(reply, dict) or "actions" not in reply:
            has = sorted(reply) if isinstance(reply, dict) else type(reply).__name__
            raise PolicyError(f"policy_reply: no actions in the server's reply, but {has}")
        if not self._repeatable:
            self._require_stated_size(reply["actions"])
        return reply

    def _require_stated_size(self, chunk: Any) -> None:
        """Refuse actions of another size than the user stated: that is no failure of the policy."""
        layout = self.spec.action_layout
        if layout is None or not isinstance(chunk, np.ndarray) or chunk.ndim != 2:
            return
        if chunk.shape[1] != layout.size:
            raise UsageError(
                f"the actions of {self._endpoint.address} have {chunk.shape[1]} numbers, those of "
                f"its layout {layout.size} ({layout}); is this the checkpoint for the benchmark? "
                f"layout=environment takes the environment's"
            )


def _evaluations(reply: Mapping[str, Any]) -> int:
    """Return how often the network ran; a server of openpi's own does not count: at least once."""
    timing = reply.get("policy_timing")
    ran = timing.get("evaluations") if isinstance(timing, dict) else None
    return ran if type(ran) is int else 1


def _kind(option: str) -> str:
    """Return an option's name as the list of options has it."""
    return "image.ROLE" if option.startswith("image.") and len(option) > 6 else option
