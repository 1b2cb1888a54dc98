"""LIBERO's suites, cards and initial states, without a simulator."""

import io
import pickle
import re
import subprocess
import sys
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from benchmarks.libero import Libero, catalog
from benchmarks.libero.env import axis_angle
from benchmarks.libero.init_states import load_init_states
from benchmarks.libero.protocol import CARDS, LiberoProtocol, protocols
from harness.contracts.protocol import Protocol

STANDARD = {
    "libero_spatial": 10,
    "libero_object": 10,
    "libero_goal": 10,
    "libero_10": 10,
    "libero_90": 90,
}


def test_the_standard_suites_come_first_and_are_complete() -> None:
    suites = catalog.suites()
    assert {name: len(suites[name]) for name in list(suites)[:5]} == STANDARD
    assert {len(task.states) for name in STANDARD for task in suites[name]} == {50}


def test_libero_pro_suites_are_listed() -> None:
    names = [
        f"libero_{s}_{p}" for s in ("spatial", "object", "goal", "10") for p in ("swap", "lan")
    ]
    assert set(names) <= set(catalog.suites())


def test_a_perturbed_instruction_comes_from_the_bddl_file() -> None:
    plain, reworded = (catalog.suites()[name][0] for name in ("libero_goal", "libero_goal_lan"))
    assert plain.name == reworded.name == "open_the_middle_drawer_of_the_cabinet"
    assert plain.instruction == "open the middle drawer of the cabinet"
    assert "middle drawer" in reworded.instruction != plain.instruction


def test_task_order_and_instructions_equal_liberos_own() -> None:
    from libero.libero import benchmark  # type: ignore[import-untyped]

    for name in STANDARD:
        suite = benchmark.get_benchmark_dict()[name]()
        ours = [(t.name, t.instruction) for t in catalog.suites()[name]]
        assert ours == [(t.name, t.language) for t in suite.tasks]


def test_listing_imports_no_simulator() -> None:
    code = (
        "import sys; from benchmarks.libero import Libero; f = Libero()\n"
        "[f.tasks(b) for b in f.benchmarks()]; f.protocols()\n"
        "assert not {'libero', 'robosuite', 'mujoco', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("card", sorted(CARDS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_field_of_a_card_names_a_file_at_a_commit(card: Path) -> None:
    protocol = protocols()[card.stem]
    given = {"max_steps", "replan", "episodes_per_task"}
    given |= {f.name for f in fields(LiberoProtocol)} - {f.name for f in fields(Protocol)}
    assert set(protocol.sources) == given
    for name, source in protocol.sources.items():
        assert re.match(r"[\w-]+@[0-9a-f]{7} ", source), f"{name}: {source}"
    assert {protocol.limit(suite) for suite in Libero().benchmarks()} <= set(range(200, 601))
    assert "mujoco 3.3.2" in protocol.simulator


def test_the_cards_have_the_values_of_their_sources() -> None:
    cards = protocols()
    assert set(cards) >= {"openpi", "openvla", "openvla-oft", "lerobot", "original"}
    assert len({card.label.partition("@")[2] for card in cards.values()}) == len(cards)
    assert cards["openpi"].limit("libero_spatial_swap") == 220
    assert cards["lerobot"].limit("libero_spatial_swap") == 280
    assert cards["lerobot"].scene_seed(7, 3, "a_task") == 10
    assert cards["openpi"].scene_seed(7, 3, "a_task") == 7
    assert cards["openvla-oft"].scene_seed(7, 3, "a_task") == 0


@pytest.mark.parametrize("pickle_protocol", [2, 4])
def test_pickled_initial_states_are_read_without_unpickling(
    tmp_path: Path, pickle_protocol: int
) -> None:
    states = np.random.default_rng(0).normal(size=(50, 77))
    file = tmp_path / "task.pruned_init"
    with zipfile.ZipFile(file, "w") as archive:
        # torch.save writes a numpy array as a pickle inside a zip.
        archive.writestr("task/data.pkl", pickle.dumps(states, protocol=pickle_protocol))
    np.testing.assert_array_equal(load_init_states(file), states)


def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return io.open, (str(tmp_path / "made"), "w")  # type: ignore[return-value]

    file = tmp_path / "task.pruned_init"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("task/data.pkl", pickle.dumps(Hostile(), protocol=2))
    with pytest.raises(ValueError, match="does not hold one array"):
        load_init_states(file)
    assert not (tmp_path / "made").exists()


def test_axis_angle_is_not_folded() -> None:
    np.testing.assert_allclose(axis_angle(np.array([0.0, 0.0, 0.0, 1.0])), np.zeros(3))
    half = np.array([np.sin(0.4), 0.0, 0.0, np.cos(0.4)])
    np.testing.assert_allclose(axis_angle(half), [0.8, 0.0, 0.0])
    # The antipodal quaternion gives the long way round.
    np.testing.assert_allclose(axis_angle(-half), [-(2 * np.pi - 0.8), 0.0, 0.0])
