"""The command that serves a policy."""

import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from harness.contracts.errors import UsageError
from harness.serving.api_key import read_api_key
from harness.serving.keys import ObservationKeys, image_keys


@dataclass(kw_only=True)
class ServeCommand:
    """Serve a policy over openpi's websocket protocol, for a robot or another machine.

    openpi's own clients can ask it, and so can a run: `run --policy remote:ws://HOST:PORT`. It
    tells every client the policy's spec: cameras, picture size, what the numbers of the state and
    the actions mean. GET /healthz answers 200. Ctrl-C stops it. See docs/policies.md.
    """

    policy: str
    """The policy by name, or name:source. See: list policies."""
    host: str = "127.0.0.1"
    """The address to bind; 0.0.0.0 lets other machines ask."""
    port: int = 8000
    """The port; 0 takes any that is free."""
    api_key_file: Path | None = None
    """A file with a key that clients must send as the header "Authorization: Api-Key ..."."""
    image_key: tuple[str, ...] = ()
    """The key of a camera's picture, as ROLE=KEY; main=observation/image and
    wrist=observation/wrist_image if not given."""
    state_key: tuple[str, ...] = ()
    """The state's keys in order, as KEY:SIZE; observation/state if not given."""
    prompt_key: str = "prompt"
    """The instruction's key."""
    seed: int = 0
    """The n-th answer on a connection draws from this and n; a client may send its own stream."""
    max_batch: int | None = None
    """Observations of several clients that are inferred at once, at most; learnt if not given."""

    def __call__(self) -> int:
        """Serve until interrupted."""
        from harness.serving.server import PolicyServer, Serving

        if self.max_batch is not None and self.max_batch < 1:
            raise UsageError(f"--max-batch must be at least 1, got {self.max_batch}")
        if not 0 <= self.port < 2**16:
            raise UsageError(f"--port must be below {2**16}, got {self.port}")
        serving = Serving(
            reference=self.policy,
            keys=ObservationKeys.parse(image_keys(self.image_key), self.state_key, self.prompt_key),
            host=self.host,
            port=self.port,
            api_key=read_api_key(self.api_key_file) if self.api_key_file else "",
            seed=self.seed,
            max_batch=self.max_batch,
        )
        server = PolicyServer(serving, _tell)
        if not self.api_key_file and not _is_loopback(self.host):
            _tell(f"whoever can reach {self.host} can ask this policy; --api-key-file keeps out")
        print(f"serving {self.policy} at ws://{self.host}:{server.port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            _tell("stopped")
        return 0


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
