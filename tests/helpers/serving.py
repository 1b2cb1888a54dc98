"""A policy server for tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.serving.server import PolicyServer, Serving


@contextmanager
def served(reference: str, **options: Any) -> Iterator[int]:
    """Serve a policy on a free port and yield the port."""
    server = PolicyServer(Serving(reference=reference, **{"port": 0, **options}), print)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
