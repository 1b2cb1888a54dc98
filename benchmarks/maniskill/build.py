"""Builds ManiSkill's own environment, without its prints, warnings and prompts."""

import contextlib
import gc
import io
import logging
import warnings
from typing import Any

from benchmarks import vulkan
from benchmarks.maniskill.catalog import TaskFacts
from benchmarks.maniskill.protocol import ManiSkillProtocol
from harness.contracts.errors import UsageError


def build_sim(task: TaskFacts, protocol: ManiSkillProtocol) -> Any:
    """Return ManiSkill's environment of a task; it renders nothing by itself.

    ManiSkill collects the process's garbage at every reset. What exists before the first one is
    set aside, or each reset would search all modules and weights again; `release` undoes it.

    Raises:
        UsageError: Files are missing, or the task or its robot has no such controller.
    """
    vulkan.use_driver()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import mani_skill.envs
        import torch
        from mani_skill.utils import assets, download_asset
        from mani_skill.utils.registration import REGISTERED_ENVS

        torch.set_num_threads(1)
        # It warns when it falls back to a CPU renderer; `run_eval.py doctor` shows that.
        mani_skill.logger.setLevel(logging.ERROR)
        wanted = assets.expand_data_group_into_individual_data_source_ids(task.name)
        if not all(map(assets.is_data_source_downloaded, wanted)):
            raise UsageError(_download(task.name, task.name))
        # ManiSkill asks on stdin whether to download a robot. An evaluation must not block.
        download_asset.prompt_yes_no = _RefuseDownload(task.name)
        spec = REGISTERED_ENVS[task.name]
        modes = spec.cls.SUPPORTED_REWARD_MODES
        gc.collect()
        gc.freeze()
        try:
            return spec.cls(
                **spec.default_kwargs,
                **_options(protocol),
                obs_mode="none",
                reward_mode="none" if "none" in modes else modes[0],
                num_envs=1,
                sim_backend="physx_cpu",
            )
        except (KeyError, AssertionError) as error:
            raise UsageError(
                f"{task.name} cannot be built under {protocol.name} "
                f"(control_mode {protocol.control_mode!r}): {error}"
            ) from error


def release(sim: Any) -> None:
    """Close ManiSkill's environment, and let the process collect all its garbage again."""
    gc.unfreeze()
    sim.close()


def _options(protocol: ManiSkillProtocol) -> dict[str, Any]:
    """Return the protocol's fields under ManiSkill's names."""
    camera: dict[str, Any] = {"shader_pack": protocol.shader}
    if protocol.camera_size:
        camera["height"], camera["width"] = protocol.camera_size
    options: dict[str, Any] = {
        "control_mode": protocol.control_mode,
        "sensor_configs": camera,
        "human_render_camera_configs": dict(camera),
    }
    if protocol.robot:
        options["robot_uids"] = protocol.robot
    return options


class _RefuseDownload:
    """Replaces ManiSkill's prompt by an error that names the command."""

    def __init__(self, task: str) -> None:
        self._task = task

    def __call__(self, message: str) -> bool:
        words = message.split()
        raise UsageError(_download(self._task, words[1] if words[:1] == ["Robot"] else self._task))


def _download(task: str, asset: str) -> str:
    return (
        f"{task} needs files that are not installed; run: "
        f"python -m mani_skill.utils.download_asset {asset}"
    )
