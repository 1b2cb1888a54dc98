"""What all families of benchmarks share, without a simulator."""

import gymnasium
import pytest

import benchmarks  # noqa: F401 - registers the ids
from benchmarks.suites import SuiteFamily, installed_versions
from harness.contracts.errors import UsageError
from harness.contracts.registry import find_benchmark

PREFIXES = ("libero/", "maniskill/", "vlabench_lite/")
IDS = [name for name in gymnasium.registry if name.startswith(PREFIXES)]


def test_every_gymnasium_id_names_a_task_of_its_benchmark() -> None:
    assert {name.partition("/")[0] + "/" for name in IDS} == set(PREFIXES)
    for name in IDS:
        given = gymnasium.registry[name].kwargs
        family = find_benchmark(given["benchmark"])
        assert isinstance(family, SuiteFamily)
        assert given["task"] in family.task_data(given["benchmark"]), name


@pytest.mark.parametrize(
    "name", ["libero/object-3-v0", "maniskill/PickCube-v1", "vlabench_lite/select_poker-v0"]
)
def test_an_unknown_protocol_is_refused_before_a_simulator_starts(name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown protocol of \w+ 'xyz'; known: "):
        gymnasium.make(name, protocol="xyz")


def test_versions_leave_out_packages_that_are_not_installed() -> None:
    assert set(installed_versions(("numpy", "no-such-package"))) == {"numpy"}
