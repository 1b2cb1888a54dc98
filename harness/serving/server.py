"""Serves a policy over openpi's websocket protocol, to robots and other machines."""

import hashlib
import socket
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from harness.contracts.errors import (
    LONGEST_TRACEBACK,
    MemoryLost,
    PolicyCrashed,
    PolicyError,
    UsageError,
)
from harness.contracts.foreign_text import error_line, printable
from harness.contracts.policy import Query, checked_chunk
from harness.contracts.registry import make_policy
from harness.contracts.spec import keyed_stream
from harness.inference.batcher import Batcher, Batching
from harness.inference.memories import Place
from harness.serving.api_key import is_authorized
from harness.serving.codec import LARGEST_MESSAGE, WireError, pack, unpack
from harness.serving.greeting import (
    EPISODE_KEY,
    MEMORY_LOST,
    POLICY_ERROR,
    QUESTION_KEY,
    STREAM_KEY,
    Greeting,
)
from harness.serving.keys import ObservationKeys

MOST_CLIENTS = 64
"""Clients at the same time, at most."""
MOST_SOCKETS = 512
"""Open sockets, at most, with those that have not said yet what they want."""
LONGEST_CLIENT = 100
"""Characters of the name that a client may give itself."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The options of a server.

    Attributes:
        reference: The policy as on the command line.
        keys: The message keys of an observation.
        host: The address to bind.
        port: The port; 0 takes a free one.
        api_key: The API key that clients must send; empty for none.
        seed: The seed of the random streams for clients that send none.
        max_batch: Observations in a batch, at most.
        batching: Which batches are allowed.
    """

    reference: str
    keys: ObservationKeys = field(default_factory=ObservationKeys)
    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str = ""
    seed: int = 0
    max_batch: int | None = None
    batching: Batching = "exact"


class PolicyServer:
    """Answers every client in its own thread, and all clients with one policy.

    Requests that wait together are inferred in one batch, as on Ray.
    """

    def __init__(self, serving: Serving, tell: Callable[[str], None]) -> None:
        """Load the policy and bind the port.

        Raises:
            UsageError: The policy cannot be served, or the port cannot be bound.
        """
        self._serving, self._tell = serving, tell
        policy = make_policy(serving.reference)
        if policy.needs_env:
            raise UsageError(
                f"{serving.reference} needs the simulator, so it cannot be served; serve a policy "
                f"that needs only observations"
            )
        for role in policy.spec.cameras:
            serving.keys.image_key(role)
        self._spec = policy.spec
        # No deadline: nothing would restart the server.
        self._batcher = Batcher(policy, 0.0, serving.max_batch, 0.0, serving.batching)
        self._batcher.ready()
        greeting = Greeting(policy.spec, serving.keys, policy.remembers)
        self._greeting = pack(greeting.plain())
        self._clients = threading.Semaphore(MOST_CLIENTS)
        self._sockets = threading.Semaphore(MOST_SOCKETS)
        self._server = self._bound()
        self._handle, self._server.handler = self._server.handler, self._accept
        self.port: int = self._server.socket.getsockname()[1]

    def serve_forever(self) -> None:
        """Answer until `shutdown` is called or the user interrupts."""
        try:
            self._server.serve_forever()
        finally:
            self.shutdown()

    def shutdown(self) -> None:
        """Stop listening and close every connection; an open one would keep the process alive."""
        self._server.shutdown()

    def _bound(self) -> Server:
        serving = self._serving
        try:
            return serve(
                self._talk,
                serving.host,
                serving.port,
                process_request=self._admit,
                origins=[None],  # Browsers send an origin: no web page may drive a robot.
                compression=None,
                max_size=LARGEST_MESSAGE,
                max_queue=1,
                close_timeout=2,
                ping_timeout=None,  # A client that moves a robot may not answer pings.
            )
        except OSError as error:
            raise UsageError(
                f"cannot listen on {serving.host}:{serving.port} ({error.strerror}); "
                f"choose another --host or --port"
            ) from error

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/healthz":
            return connection.respond(HTTPStatus.OK, "OK\n")
        given = "\n".join(request.headers.get_all("Authorization"))
        if self._serving.api_key and not is_authorized(given, self._serving.api_key):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "send Authorization: Api-Key ...\n")
        return None

    def _accept(self, client: socket.socket, address: Any) -> None:
        """Handle a new socket, in its own thread, unless there are too many."""
        if not self._sockets.acquire(blocking=False):
            client.close()
            with self._server.lock:
                self._server.handler_threads.discard(threading.current_thread())
            return
        try:
            self._handle(client, address)
        finally:
            self._sockets.release()

    def _talk(self, connection: ServerConnection) -> None:
        """Answer one client, unless there are too many."""
        if not self._clients.acquire(blocking=False):
            connection.send(f"the server has {MOST_CLIENTS} clients, the most it takes; try later")
            connection.close(CloseCode.TRY_AGAIN_LATER)
            return
        try:
            self._answer_all(connection)
        finally:
            self._clients.release()

    def _answer_all(self, connection: ServerConnection) -> None:
        """Answer one client until it leaves or sends a bad request."""
        total: float | None = None
        calls = 0
        try:
            connection.send(self._greeting)
            while True:
                message = connection.recv()
                start = time.monotonic()
                reply = self._reply(message, calls, str(connection.id))
                if total is not None:
                    reply["server_timing"]["prev_total_ms"] = 1000 * total
                connection.send(pack(reply))
                total, calls = time.monotonic() - start, calls + 1
        except ConnectionClosed:
            return
        except Exception as error:  # noqa: BLE001 - reported to this client; the others go on
            if isinstance(error, PolicyCrashed):
                lines, last = error.traceback, f"{error}\n"
            else:
                # Only the last line: the others name files of this machine.
                last = "".join(traceback.format_exception_only(error))
                lines = "".join(traceback.format_exception(error))
            own = not isinstance(error, WireError)
            self._tell(printable(lines[-LONGEST_TRACEBACK:]) if own else error_line(last))
            connection.send(error_line(last))
            connection.close(CloseCode.INTERNAL_ERROR, "the previous frame holds the error")

    def _reply(self, message: str | bytes, calls: int, client: str) -> dict[str, Any]:
        if isinstance(message, str):
            raise WireError("an observation must come in a binary frame")
        request = unpack(message)
        if not isinstance(request, dict):
            raise WireError(f"an observation must be a map, got {type(request).__name__}")
        reply = self._answer(request, calls, client)
        if type(request.get(QUESTION_KEY)) is int:
            reply[QUESTION_KEY] = request[QUESTION_KEY]
        return reply

    def _answer(self, request: dict[str, Any], calls: int, client: str) -> dict[str, Any]:
        observation = self._serving.keys.unpack(request, self._spec)
        stream = self._stream(request.get(STREAM_KEY), calls)
        place, step = _place(request.get(EPISODE_KEY), Place(client, calls))
        start = time.monotonic()
        try:
            (answer,) = self._batcher.infer([Query(observation, stream, step=step)], [place])
            actions = self._checked(answer.chunk)
        except MemoryLost:
            return {MEMORY_LOST: True, "server_timing": {}}
        except PolicyError as error:
            if EPISODE_KEY not in request:
                raise
            return {POLICY_ERROR: error.reason, "server_timing": {}}
        waited = time.monotonic() - start
        timing = {
            "infer_ms": 1000 * answer.wall,
            "evaluations": answer.evaluations,
            "inexact": answer.inexact,
        }
        return {
            "actions": actions,
            "policy_timing": timing,
            "server_timing": {"infer_ms": 1000 * waited},
        }

    def _checked(self, chunk: Any) -> Any:
        """Return a chunk as float32; nothing else reaches a robot."""
        layout = self._spec.action_layout
        size = layout.size if layout else (np.shape(chunk) or (0,))[-1]
        return np.stack(checked_chunk(chunk, size))

    def _stream(self, key: Any, calls: int) -> np.random.Generator:
        """Return the client's random stream, or one that follows from the count of its calls."""
        if key is None:
            seed = hashlib.sha256(f"{self._serving.seed}/{calls}".encode()).digest()
            return keyed_stream(np.frombuffer(seed[:16], np.uint64))
        if not isinstance(key, np.ndarray) or key.dtype != np.uint64 or key.shape != (2,):
            raise WireError(f"{STREAM_KEY} must be a uint64 array of 2 numbers")
        return keyed_stream(key)


def _place(value: Any, default: Place) -> tuple[Place, int | None]:
    """Return the place in an episode that a client states, and the step.

    Without one, a connection is an episode.

    Raises:
        WireError: The value is malformed.
    """
    if value is None:
        return default, None
    if isinstance(value, dict):
        match (value.get("client"), value.get("call"), value.get("step")):
            case (str() as client, int() as call, int() as step) if (
                len(client) <= LONGEST_CLIENT and min(call, step) >= 0
            ):
                return Place(client, call), step
    raise WireError(f"{EPISODE_KEY} must be a map of client (a string), call and step (counts)")
