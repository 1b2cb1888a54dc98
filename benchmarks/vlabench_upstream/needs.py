"""The virtual environment of upstream's code."""

from pathlib import Path

from benchmarks.vlabench_upstream.protocol import SIMULATOR
from harness.contracts.venv import VirtualEnv

VENV = VirtualEnv(
    name="vlabench",
    packages=(
        f"mujoco=={SIMULATOR['mujoco']}",
        f"dm_control=={SIMULATOR['dm_control']}",
        "numpy==1.26.4",
        "scipy==1.14.0",
        "scikit-learn==1.9.1",
        "opencv-python-headless==4.11.0.86",
        "colorlog==6.12.0",
        "addict==2.4.0",
        "dash==4.4.1",
        "pandas==3.0.6",
    ),
    alone=("open3d==0.18.0",),
    constraints=Path(__file__).parent / "constraints.txt",
    imports=("dm_control.composer", "cv2", "sklearn", "open3d"),
    libraries=("libegl1", "libgl1", "libgomp1"),
    versions=("3.11",),
)
"""open3d is installed without its requirements, most of which are for notebooks. Its import needs
the last three packages. open3d 0.18 supports Python up to 3.11.
"""
