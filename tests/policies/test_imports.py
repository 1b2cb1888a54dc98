"""What the start of a run must not import, because it costs a second each."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE = """
import sys
from harness.contracts.registry import make_policy
policy = make_policy("vla:checkpoints/maniskill/flow,replan=2")
assert not {"torch", "tokenizers"} & sys.modules.keys()
"""
LOADED = """
make_policy("vla:checkpoints/maniskill/fast,temperature=1").load()
policy.load()
assert "torch" in sys.modules
assert not {"torch._dynamo", "sympy", "ray"} & sys.modules.keys()
"""
IMPORTED = """
import sys
import assay
assert not {"scipy", "statsmodels", "pandas", "ray", "torch"} & sys.modules.keys()
"""


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_importing_assay_imports_no_statistics() -> None:
    run(IMPORTED)


def test_a_policy_is_made_without_pytorch_and_loaded_without_its_compiler() -> None:
    run(MADE + LOADED)
