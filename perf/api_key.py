"""Times a server's refusal of keys that are wrong in the first letter and in the last one.

    python perf/api_key.py [--pairs 40000] [--loopback-pairs 3000]

If the comparison stopped at the first wrong letter, a key that is wrong in the last one would take
longer, and a stranger could find the key letter by letter. Both kinds alternate, in changing order.
The result is the difference of their medians, with a 95 % bootstrap interval over the pairs: of the
server's comparison alone, and of a whole refusal over loopback by a server in another process. A
comparison that does stop early is measured the same way, to show that the method would find it.
The last line is one JSON object; times are nanoseconds.
"""

import argparse
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from perf._points import add_to_path

add_to_path()

import numpy as np

from harness.serving.api_key import is_authorized

RESAMPLES = 1000
REPEATS = 50
"""Comparisons in one measurement, since one takes less than a clock resolves."""

Ask = Callable[[str], object]


def stops_early(given: str, key: str) -> bool:
    """Compare as a careless server would, letter by letter."""
    return all(one == other for one, other in zip(given, f"Api-Key {key}", strict=True))


def compared(ask: Ask, first: str, last: str, pairs: int, repeats: int = 1) -> dict[str, Any]:
    """Return the medians for two wrong keys, and the interval of their difference."""
    times = np.empty((2, pairs))
    for pair in range(-pairs // 20, pairs):  # The first ones warm up, and are overwritten.
        for which in (0, 1) if pair % 2 else (1, 0):
            given = f"Api-Key {(first, last)[which]}"
            start = time.perf_counter_ns()
            for _ in range(repeats):
                ask(given)
            times[which, pair] = (time.perf_counter_ns() - start) / repeats
    random = np.random.default_rng(0)
    differences = []
    for _ in range(RESAMPLES):
        drawn = times[:, random.integers(0, pairs, pairs)]
        differences.append(np.subtract(*np.median(drawn, axis=1)[::-1]))
    medians = np.median(times, axis=1)
    low, high = np.quantile(differences, (0.025, 0.975))
    return {
        "pairs": pairs,
        "first": round(medians[0], 1),
        "last": round(medians[1], 1),
        "difference": round(medians[1] - medians[0], 1),
        "interval": [round(low, 1), round(high, 1)],
    }


def refused(port: int) -> Ask:
    """Return a function that asks a server and waits for its refusal."""

    def ask(authorization: str) -> None:
        request = (
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: {authorization}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request.encode())
            answer = client.recv(4096)
        assert b"401" in answer.partition(b"\r\n")[0], answer

    return ask


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def over_loopback(key: str, first: str, last: str, pairs: int) -> dict[str, Any]:
    """Measure refusals of a server."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(key)
        file.flush()
        port = free_port()
        command = [sys.executable, "run_eval.py", "serve", "--policy", "homing"]
        command += ["--port", str(port), "--api-key-file", file.name]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as server:
            try:
                for _ in range(600):
                    try:
                        socket.create_connection(("127.0.0.1", port)).close()
                        break
                    except ConnectionRefusedError:
                        time.sleep(0.1)
                return compared(refused(port), first, last, pairs)
            finally:
                server.terminate()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=40_000)
    parser.add_argument("--loopback-pairs", type=int, default=3000)
    options = parser.parse_args()
    key = secrets.token_hex(32)
    first, last = f"x{key[1:]}", f"{key[:-1]}x"
    result = {
        "comparison": compared(
            lambda given: is_authorized(given, key), first, last, options.pairs, REPEATS
        ),
        "stops_early": compared(
            lambda given: stops_early(given, key), first, last, options.pairs // 10, REPEATS
        ),
        "loopback": over_loopback(key, first, last, options.loopback_pairs),
    }
    for name, found in result.items():
        print(f"{name}: {found['difference']} ns {found['interval']}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
