"""Simulators that render on a GPU: `pytest -m gpu`, on a machine that has one; see docs/gpu.md."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import vulkan

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not Path("/dev/nvidiactl").exists(), reason="there is no NVIDIA GPU"),
]
BALL = """
import os
import sys

os.environ["MUJOCO_GL"] = sys.argv[1]
import mujoco
import numpy as np
from OpenGL import GL

ball = "<light pos='0 0 3'/><geom size='.3' rgba='1 0 0 1'/>"
text = f"<mujoco><worldbody>{ball}</worldbody></mujoco>"
model = mujoco.MjModel.from_xml_string(text)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 64, 64) as renderer:
    renderer.update_scene(data)
    pixels = renderer.render()
    print(GL.glGetString(GL.GL_RENDERER).decode(), flush=True)
np.save(sys.argv[2], pixels)
"""


def ball(backend: str, out: str) -> str:
    """Draw a ball in a new process, and return what drew it."""
    done = subprocess.run(
        [sys.executable, "-c", BALL, backend, out], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(find_spec("mujoco") is None, reason="MuJoCo is not installed")
def test_mujoco_renders_on_the_gpu_almost_what_the_cpu_renders(tmp_path: Path) -> None:
    """EGL takes Mesa's CPU driver without a word if a container has no graphics capability."""
    files = {backend: tmp_path / f"{backend}.npy" for backend in ("egl", "osmesa")}
    names = {backend: ball(backend, str(file)) for backend, file in files.items()}
    print(names)
    assert "NVIDIA" in names["egl"]
    pixels = {name: np.load(file).astype(int) for name, file in files.items()}
    assert pixels["egl"].max() > 50, "the picture is black"
    assert np.abs(pixels["egl"] - pixels["osmesa"]).mean() < 3


@pytest.mark.skipif(find_spec("sapien") is None, reason="SAPIEN is not installed")
def test_sapien_renders_on_the_gpu() -> None:
    assert vulkan.find_driver().name == "the NVIDIA driver"
    assert "NVIDIA" in vulkan.device()
