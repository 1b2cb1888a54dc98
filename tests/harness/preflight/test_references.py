"""The check works for policies behind a server, of LeRobot, and of a real checkpoint."""

from pathlib import Path

import numpy as np
import pytest

from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Query
from harness.preflight.preflight import PreflightRequest, check_policy
from harness.preflight.remark import Remark
from tests.harness.preflight.test_preflight import SIGHTED, Silent, report
from tests.helpers.serving import served

FLOW = "checkpoints/maniskill/flow"
LEROBOT = """
import torch

class Act:
    cameras = ("main",)
    keys = {"main": "observation.images.image"}
    def reset(self):
        pass
    def predict_action_chunk(self, batch):
        assert batch["observation.images.image"].shape == (1, 3, 32, 32)
        mean = -batch["observation.state"].unsqueeze(1).repeat(1, 8, 1)
        return torch.cat([mean, torch.randn(1, 8, 1)], -1)
    def select_action(self, batch):
        return self.predict_action_chunk(batch)[:, 0]
"""


def checked(reference: str, benchmark: str, protocol: str = "") -> dict[str, Remark]:
    found = check_policy(PreflightRequest(reference, benchmark, protocol=protocol), Silent())
    return {remark.topic: remark for remark in found.remarks}


def test_a_served_policy_is_checked_like_a_local_one() -> None:
    measured = {"time", "memory", "estimate"}
    with served(f"python:{SIGHTED}:Turned") as port:
        remote = checked(f"remote:ws://127.0.0.1:{port}", "points_seen")
    local = {remark.topic: remark for remark in report("Turned").remarks}
    assert {t: r for t, r in remote.items() if t not in measured} == {
        t: r for t, r in local.items() if t not in measured
    }


def test_an_exception_in_the_server_is_one_line() -> None:
    with served(f"python:{SIGHTED}:Crashing") as port, pytest.raises(UsageError) as refused:
        checked(f"remote:ws://127.0.0.1:{port}", "points_seen")
    assert "does not answer" in str(refused.value)
    assert "observation.images.wrist_image" in str(refused.value)


def test_a_lerobot_policy_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "my_lerobot.py"
    file.write_text(LEROBOT)
    found = checked(f"lerobot:{file}:Act", "points_seen")
    assert found["chunk"].text == "8 actions, the protocol executes 4"
    assert found["pictures"].level == "warning"
    assert "same bits" in found["repeatable"].text
    assert "changes the answer by" in found["random"].text


class TurnedFlow:
    """The shipped policy, with its pictures turned by 180 degrees."""

    cameras = ("front", "main", "wrist")

    def __init__(self) -> None:
        from policies.learned import LearnedPolicy

        self._policy = LearnedPolicy(FLOW)
        self._policy.load()

    def __call__(self, observation: Observation, stream: np.random.Generator) -> ActionChunk:
        images = {
            role: np.ascontiguousarray(image[::-1, ::-1])
            for role, image in observation["image"].items()
        }
        seen: Observation = {**observation, "image": images}
        return self._policy.infer([Query(seen, stream)])[0]


@pytest.mark.slow
@pytest.mark.maniskill
@pytest.mark.rendering
def test_a_shipped_checkpoint_is_ok_and_turned_pictures_are_found() -> None:
    where = ("maniskill_rdt/PushCube-v1", "rdt-small")
    good = checked(f"vla:{FLOW}", *where)
    assert {topic for topic, remark in good.items() if remark.level != "ok"} == set()
    assert "the expert succeeded in 12" in good["scenes"].text
    turned = checked(f"python:{__file__}:TurnedFlow", *where)
    assert {topic: r.level for topic, r in turned.items() if r.level != "ok"} == {
        "orientation": "problem"
    }
    # Which of the turned cameras matter most depends on the noise of the policy.
    assert "turned by 180 degrees" in turned["orientation"].text
