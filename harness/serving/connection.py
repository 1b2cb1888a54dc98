"""A client's connection to a policy server; it survives a restart of the server."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect

from harness.contracts.errors import LONGEST_MESSAGE, LONGEST_TRACEBACK, PolicyCrashed, UsageError
from harness.contracts.extras import program_name
from harness.contracts.foreign_text import error_line, printable
from harness.serving.codec import LARGEST_MESSAGE, WireError, pack, unpack
from harness.serving.greeting import FIELD, QUESTION_KEY

SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between attempts to reach a lost server; each pause doubles the one before."""


class ServerError(RuntimeError):
    """The server reports an exception, does not answer, or does not come back."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The address of a server and the client's time limits.

    Attributes:
        address: ``ws://HOST:PORT``, or ``wss://`` behind a proxy that encrypts.
        api_key: The API key to send; empty for none.
        timeout: Seconds to wait for one answer.
        patience: Seconds to wait for a lost server to come back.
    """

    address: str
    api_key: str = ""
    timeout: float = 60.0
    patience: float = 60.0


class Connection:
    """Sends one request at a time, and takes an answer only to that request.

    After a lost connection it connects again and repeats the request, since an answer changes
    nothing in the server. It never repeats a request that was answered. Assay's server repeats the
    number of the request in its answer. openpi's protocol has no numbers, so a frame that has
    already come before a request is sent is an error.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """Connect and keep the server's metadata as `metadata`.

        Raises:
            UsageError: Nothing answers at the address, or it is not a policy server.
        """
        self._endpoint = endpoint
        self._given_up = False
        self._asked = 0
        self._socket: ClientConnection | None
        try:
            self._socket, self.metadata = self._open()
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            raise UsageError(
                f"no policy server answers at {endpoint.address} ({_reason(error)}); start it, "
                f"e.g. {program_name()} serve --policy NAME, or correct the address"
            ) from error

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Return the server's answer.

        Raises:
            PolicyCrashed: The server reports an error.
            ServerError: The server is too slow, does not come back, or sends what nobody asked for.
            WireError: The answer is malformed, or a message is too large.
        """
        self._asked += 1
        numbered = isinstance(self.metadata, dict) and FIELD in self.metadata
        message = pack({**request, QUESTION_KEY: self._asked} if numbered else request)
        started = time.monotonic()
        # After one vain wait try only once; otherwise every episode would wait again.
        patience = 0.0 if self._given_up else self._endpoint.patience
        pause = SHORTEST_PAUSE
        while True:
            try:
                answer = self._exchange(message)
            except (OSError, InvalidHandshake, ConnectionClosed) as error:
                _require_size(error)
                if time.monotonic() - started + pause > patience:
                    self._given_up = True
                    raise ServerError(
                        f"the policy server at {self._endpoint.address} is lost "
                        f"({_reason(error)}); start it again and repeat the command"
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            self._given_up = False
            if numbered:
                self._require_own(answer)
            return answer

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, message: bytes) -> Any:
        if self._socket is None:
            self._socket = self._reopened()
        try:
            self._require_silence(self._socket)
            self._socket.send(message)
            answer = self._socket.recv(timeout=self._endpoint.timeout)
        except TimeoutError as error:
            # A late answer must not be read as the answer to the next request.
            self._hang_up()
            raise ServerError(
                f"{self._endpoint.address} did not answer within {self._endpoint.timeout:g} s; "
                f"raise timeout=SECONDS if the policy is that slow"
            ) from error
        except BaseException:  # After an interruption, too, the answer may still come.
            self._hang_up()
            raise
        if isinstance(answer, str):
            self._hang_up()
            raise PolicyCrashed(
                f"the policy server reports: {_last_line(answer)}",
                f"{self._endpoint.address} sent:\n{printable(answer[:LONGEST_TRACEBACK])}",
            )
        return unpack(answer)

    def _require_silence(self, socket: ClientConnection) -> None:
        """Require that no frame has come since the last answer."""
        with suppress(TimeoutError):
            socket.recv(timeout=0)
            raise ServerError(f"{self._endpoint.address} sent an answer that nobody asked for")

    def _require_own(self, answer: Any) -> None:
        """Require that Assay's server answers this request, and no earlier one."""
        if not isinstance(answer, dict) or answer.get(QUESTION_KEY) != self._asked:
            self._hang_up()
            raise ServerError(f"{self._endpoint.address} did not answer the request that was sent")

    def _reopened(self) -> ClientConnection:
        socket, metadata = self._open()
        # Compared as bytes: arrays in it would make == ambiguous.
        if pack(metadata) != pack(self.metadata):
            socket.close()
            raise UsageError(
                f"{self._endpoint.address} serves another policy than when the run started; "
                f"serve the same one, or start another run with its own --out"
            )
        return socket

    def _open(self) -> tuple[ClientConnection, Any]:
        endpoint = self._endpoint
        key = {"Authorization": f"Api-Key {endpoint.api_key}"} if endpoint.api_key else None
        try:
            socket = connect(
                endpoint.address,
                additional_headers=key,
                compression=None,
                max_size=LARGEST_MESSAGE,
                max_queue=1,
                # openpi's server answers no pings while it infers.
                ping_interval=None,
                # A policy server is near; websockets would use the machine's proxy.
                proxy=None,
                close_timeout=1,
            )
        except InvalidURI as error:
            raise UsageError(f"{endpoint.address} is not a websocket address") from error
        except InvalidMessage as error:
            raise OSError("the answer is not HTTP") from error
        except InvalidStatus as error:
            if error.response.status_code not in (401, 403):
                raise
            raise UsageError(
                f"{endpoint.address} needs another API key; give api-key-file=FILE"
            ) from error
        try:
            return socket, unpack(_binary(socket.recv(timeout=endpoint.timeout)))
        except WireError as error:
            socket.close()
            raise UsageError(
                f"{endpoint.address} does not speak openpi's protocol: {error}"
            ) from error
        except BaseException:
            socket.close()
            raise

    def _hang_up(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()


def _binary(frame: str | bytes) -> bytes:
    if isinstance(frame, str):
        raise WireError(f"its first frame is text: {_last_line(frame)}")
    return frame


def _require_size(error: Exception) -> None:
    if isinstance(error, ConnectionClosed):
        codes = [frame.code for frame in (error.rcvd, error.sent) if frame is not None]
        if CloseCode.MESSAGE_TOO_BIG in codes:
            raise WireError(
                f"a message is too large; {LARGEST_MESSAGE} bytes are accepted"
            ) from error


def _reason(error: Exception) -> str:
    return error_line(str(error), LONGEST_MESSAGE) or type(error).__name__


def _last_line(text: str) -> str:
    """Return the last line of an error frame, of which only the end is read."""
    lines = [line for line in text[-LONGEST_TRACEBACK:].splitlines() if line.strip()]
    return error_line(lines[-1], LONGEST_MESSAGE) if lines else "an error"
