"""The command `serve`."""

import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from harness.cli.run import require_at_least
from harness.contracts.errors import UsageError


@dataclass(kw_only=True)
class ServeCommand:
    """Serve a policy over openpi's websocket protocol, for a robot or another machine.

    openpi's clients can ask it, and so can `run --policy remote:ws://HOST:PORT`. The server sends
    every client the policy's spec: cameras, image size, and the meaning of states and actions.
    GET /healthz returns 200. Ctrl-C stops it. See docs/policies.md.
    """

    policy: str
    """The policy by name, or name:source. See: list policies."""
    host: str = "127.0.0.1"
    """The address to bind. 0.0.0.0 accepts other machines."""
    port: int = 8000
    """The port. 0 takes a free one."""
    api_key_file: Path | None = None
    """A file with the key that clients must send in the header "Authorization: Api-Key KEY"."""
    image_key: tuple[str, ...] = ()
    """The message key of a camera's image, as ROLE=KEY. Default: main=observation/image
    wrist=observation/wrist_image."""
    state_key: tuple[str, ...] = ()
    """The message keys of the state in order, as KEY:SIZE. Default: observation/state."""
    prompt_key: str = "prompt"
    """The message key of the instruction."""
    seed: int = 0
    """The seed of the random streams for clients that send none."""
    max_batch: int | None = None
    """Observations of several clients that are inferred at once, at most. Default: 8."""
    batching: Literal["exact", "fast"] = "exact"
    """fast: infer any observations together; an action may then depend on the batch. exact:
    only if no bit can change."""

    def __call__(self) -> int:
        """Serve until interrupted."""
        from harness.serving.api_key import read_api_key
        from harness.serving.keys import ObservationKeys, image_keys
        from harness.serving.server import PolicyServer, Serving

        require_at_least("max_batch", self.max_batch, 1)
        if not 0 <= self.port < 2**16:
            raise UsageError(f"--port must be from 0 to {2**16 - 1}, got {self.port}")
        serving = Serving(
            reference=self.policy,
            keys=ObservationKeys.parse(image_keys(self.image_key), self.state_key, self.prompt_key),
            host=self.host,
            port=self.port,
            api_key=read_api_key(self.api_key_file) if self.api_key_file else "",
            seed=self.seed,
            max_batch=self.max_batch,
            batching=self.batching,
        )
        server = PolicyServer(serving, _tell)
        if not self.api_key_file and not _is_loopback(self.host):
            _tell(f"anyone who reaches {self.host} can ask this policy; set --api-key-file")
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
