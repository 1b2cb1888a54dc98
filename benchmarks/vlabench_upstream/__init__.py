"""VLABench with its own code and assets: the user's checkout in a virtual environment."""

from collections.abc import Mapping, Sequence

from benchmarks.gl import choose_gl
from benchmarks.suites import SuiteFamily, indexed_names
from benchmarks.vlabench_upstream import checkout
from benchmarks.vlabench_upstream.catalog import BENCHMARKS, short_name
from benchmarks.vlabench_upstream.needs import VENV
from benchmarks.vlabench_upstream.protocol import (
    FAMILY,
    SIMULATOR,
    UpstreamProtocol,
    protocols,
)
from harness.contracts.environment import EnvSpec
from harness.contracts.protocol import Protocol


class VLABenchUpstream(SuiteFamily):
    """VLABench's tracks: vlabench_track1 to 4 and 6."""

    name = FAMILY
    default_protocol = "track1"
    env_class = "benchmarks.vlabench_upstream.env:UpstreamEnv"
    venv = VENV

    def benchmarks(self) -> Sequence[str]:
        """Return every track; `problem` names what a track needs before it can run."""
        return list(BENCHMARKS)

    def task_data(self, benchmark: str) -> Mapping[str, str]:
        """Return the names of a track's tasks; each episode has its own instruction."""
        return {name: name for name in BENCHMARKS[benchmark].tasks}

    def protocols(self) -> Mapping[str, Protocol]:
        """Return one protocol card for each track."""
        return protocols()

    def protocol_of(self, benchmark: str) -> str:
        """Return the track's own card."""
        return short_name(benchmark)

    def step_limit(self, benchmark: str, task: str, protocol: Protocol) -> int:
        """Return the task's own limit, or else the track's."""
        assert isinstance(protocol, UpstreamProtocol)
        return protocol.steps(benchmark, task)

    def gymnasium_names(self) -> Mapping[str, tuple[str, str]]:
        """Return the tasks by track and index, e.g. ``track1-3``; the tracks share names."""
        return indexed_names(self)

    def env_spec(self, benchmark: str, task: str, protocol: Protocol) -> EnvSpec:
        """Return the cameras and the layouts, which all tasks share."""
        assert isinstance(protocol, UpstreamProtocol)
        return protocol.env_spec

    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return the number of episodes that the track has of a task."""
        return BENCHMARKS[benchmark].episodes(task)

    def problem(self, images: bool) -> str | None:
        """Return what the checkout lacks."""
        return checkout.problem()

    def rendering(self) -> str:
        """Return the GL backend."""
        return f"MuJoCo's {choose_gl()}"

    def versions(self) -> Mapping[str, str]:
        """Return the checkout's digest, and the versions in the virtual environment."""
        root = checkout.find()
        known = {} if root is None else {"vlabench": checkout.sources_digest(root)}
        return known | SIMULATOR
