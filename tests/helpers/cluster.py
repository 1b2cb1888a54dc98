"""A local Ray instance for the tests of a module."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    import ray

    environment = {"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}}
    ray.init(
        "local",
        num_cpus=4,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        runtime_env=environment,
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()
