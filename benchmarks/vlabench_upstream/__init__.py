"""VLABench by its own code and assets: a user's checkout, in a Python of its own."""

from collections.abc import Mapping, Sequence

from benchmarks.gl import choose_gl
from benchmarks.vlabench_upstream import checkout
from benchmarks.vlabench_upstream.catalog import BENCHMARKS, short_name
from benchmarks.vlabench_upstream.needs import VENV
from benchmarks.vlabench_upstream.protocol import FAMILY, SIMULATOR, UpstreamProtocol, protocols
from harness.contracts.benchmark import Benchmark, Task
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.protocol import Protocol


class VLABenchUpstream(Benchmark):
    """The family of VLABench's tracks: vlabench_track1 to 4 and 6."""

    name = FAMILY
    default_protocol = "track1"
    venv = VENV

    def benchmarks(self) -> Sequence[str]:
        """Return every track; what one needs to run is said when it shall."""
        return list(BENCHMARKS)

    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return a track's tasks; every episode has an instruction of its own."""
        return [Task(name, name.replace("_", " ")) for name in BENCHMARKS[benchmark].tasks]

    def protocols(self) -> Mapping[str, Protocol]:
        """Return a card for each track."""
        return protocols()

    def protocol_of(self, benchmark: str) -> str:
        """Return the track's own card."""
        return short_name(benchmark)

    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return how many episodes the track has of a task."""
        return BENCHMARKS[benchmark].episodes(task)

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        """Build a task, in the Python environment that is made for it."""
        from benchmarks.vlabench_upstream.env import UpstreamEnv

        assert isinstance(protocol, UpstreamProtocol)
        return UpstreamEnv(benchmark, task, protocol)

    def problem(self, images: bool) -> str | None:
        """Return what the checkout lacks."""
        return checkout.problem()

    def rendering(self) -> str:
        """Return what draws where upstream runs."""
        return f"MuJoCo's {choose_gl()}"

    def versions(self) -> Mapping[str, str]:
        """Return which sources these are and what they run on."""
        root = checkout.find()
        known = {} if root is None else {"vlabench": checkout.sources_digest(root)}
        return known | SIMULATOR
