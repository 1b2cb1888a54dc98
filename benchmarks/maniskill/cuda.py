"""Whether ManiSkill can simulate on a GPU here, found without importing torch."""

import subprocess
import sys
from functools import cache

CODE = "import torch; print(torch.__version__, torch.cuda.is_available())"


@cache
def problem() -> str | None:
    """Return why there is no simulation on a GPU; torch is asked in a process of its own."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    version, _, found = done.stdout.strip().partition(" ")
    if found == "True":
        return None
    return (
        f"ManiSkill plays in batches on an NVIDIA GPU only, and torch {version} finds none here; "
        f"choose a protocol without batches, such as rdt, or install a torch for CUDA beside a GPU"
    )
