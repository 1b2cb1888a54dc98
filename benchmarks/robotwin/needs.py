"""The virtual environment of RoboTwin's code."""

from pathlib import Path

from harness.contracts.venv import VirtualEnv

SIMULATOR = {"robotwin": "0.1.3", "sapien": "3.0.3", "mplib": "0.2.1"}
"""RoboTwin's package pins SAPIEN 3.0.0b1, which does not work with Mesa's CPU driver."""

VENV = VirtualEnv(
    name="robotwin",
    packages=(
        f"sapien=={SIMULATOR['sapien']}",
        f"mplib=={SIMULATOR['mplib']}",
        "numpy==1.26.4",
        "opencv-python==4.11.0.86",
        "trimesh==5.2.0",
    ),
    alone=(f"rlinf-robotwin-runtime=={SIMULATOR['robotwin']}", "mani_skill==3.0.1"),
    constraints=Path(__file__).parent / "constraints.txt",
    imports=("sapien", "mplib", "toppra", "cv2", "trimesh", "robotwin", "benchmarks.robotwin.env"),
    libraries=("libgl1", "libglib2.0-0", "libvulkan1"),
    versions=("3.11",),
    shares=("vulkan",),
)
"""ManiSkill is installed only for its model of the Panda, without its requirements."""
