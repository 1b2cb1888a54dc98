"""Each family keeps the contract, shown with what outside authors inherit."""

import pytest

from assay.testing import BenchmarkContract


@pytest.mark.slow
@pytest.mark.libero
@pytest.mark.rendering
class TestLibero(BenchmarkContract):
    """A task with contacts and a moving fixture."""

    benchmark, tasks, steps = "libero_goal", ("open_the_middle_drawer_of_the_cabinet",), 10
    allowed = ("seed",)  # Its scenes are the official states.


@pytest.mark.slow
@pytest.mark.maniskill
class TestManiSkill(BenchmarkContract):
    """A task whose scene is drawn by seed."""

    benchmark, tasks, protocol, steps = "maniskill_rdt", ("PickCube-v1",), "rdt-small", 20
    allowed = ("seed",)  # RDT's scenes have seeds of their own.


@pytest.mark.slow
@pytest.mark.vlabench
@pytest.mark.rendering
class TestVLABench(BenchmarkContract):
    """A task whose model is built for each episode."""

    benchmark, tasks, protocol, steps = "vlabench_lite", ("select_poker",), "small", 10


@pytest.mark.slow
@pytest.mark.metaworld
@pytest.mark.rendering
class TestMetaWorld(BenchmarkContract):
    """A task whose environment is built for each episode."""

    benchmark, tasks, protocol = "metaworld_mt10", ("drawer-open-v3",), "small"


class TestGymnasium(BenchmarkContract):
    """An environment without an adapter."""

    benchmark, images, allowed = "gym:Pendulum-v1", False, ("statements", "expert")


class TestPoints(BenchmarkContract):
    """The outside package of the tests."""

    benchmark, tasks, allowed = "points_two", ("left", "right"), ("expert",)
