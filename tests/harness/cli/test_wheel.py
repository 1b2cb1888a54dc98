"""The wheel in a fresh environment, outside any checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LARGEST = 15 * 2**20
"""Bytes of the wheel, at most."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, since a build leaves files beside its sources."""
    copy, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    hidden = shutil.ignore_patterns("__pycache__", "training")
    for name in ("assay", "harness", "benchmarks", "policies", "checkpoints/maniskill"):
        shutil.copytree(ROOT / name, copy / name, ignore=hidden)
    tables = "results/action-heads/maniskill/tables"
    shutil.copytree(ROOT / tables, copy / tables)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(target), str(copy))
    (built,) = target.glob("assay-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of an environment with the wheel and this one's packages."""
    home = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    pip("--python", str(home), "install", "--no-deps", "--no-index", str(wheel))
    (site,) = home.glob("lib/python*/site-packages")
    # A plain path: the checkout that is installed for editing there is not found through it.
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return home / "bin"


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, env=without_checkout())


def without_checkout() -> dict[str, str]:
    """Return the environment without the import path that the tests set."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def started(folder: Path, *command: str) -> tuple[int, str, str]:
    """Run a command in a folder that no checkout contains; return its code, stdout and stderr."""
    environment = without_checkout()
    # The driver that `make setup` put into this environment is not in the fresh one.
    driver = Path(sys.prefix) / "share" / "assay" / "vulkan" / "lvp_icd.json"
    if driver.exists():
        environment.setdefault("VK_ICD_FILENAMES", str(driver))
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST


def test_the_program_is_called_assay(installed: Path, tmp_path: Path) -> None:
    program = str(installed / "assay")
    code, shown, _ = started(tmp_path, program, "--help")
    assert (code, shown.partition("[")[0]) == (0, "usage: assay ")
    code, _, error = started(tmp_path, program, "report", "nothing")
    assert (code, error) == (
        2,
        "error: nothing holds no run (no run.json); see: assay run --help\n",
    )
    code, shown, _ = started(tmp_path, str(installed / "python"), "-m", "assay", "list", "layouts")
    assert (code, "e0-table-09" in shown) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("list", "layouts"), "e0-table-13"),
        (("list", "policies"), "vla "),
        (("list", "protocols"), "libero/openpi"),
        (("list", "benchmarks"), "maniskill_rdt"),
        (("audit",), "# Audit of the published numbers"),
        (("power", "--baseline", "80", "--difference", "10"), "episodes"),
    ],
)
def test_what_needs_no_simulator(
    installed: Path, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    code, shown, error = started(tmp_path, str(installed / "assay"), *arguments)
    assert code == 0, error
    assert expected in shown


def test_a_report_with_a_layout_and_published_numbers(installed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(ROOT / "results/oracle/libero_object", run)
    program, words = str(installed / "assay"), ("report", "run", "--out", "tables", "--plots")
    layout = ("--layout", "e0-table-09", "--reference", "--format", "md,tex")
    code, shown, error = started(tmp_path, program, *words, *layout)
    assert code in (0, 3), error
    assert "OpenVLA-OFT" in shown
    assert (tmp_path / "tables" / "e0-table-09.tex").is_file()
    code, _, error = started(tmp_path, program, *words, "--format", "html")
    assert code in (0, 3), error
    page = (tmp_path / "tables" / "report.html").read_text()
    assert "assay replay run" in page
    assert "run_eval.py" not in page


def test_the_checkpoints_of_the_quick_start(installed: Path, tmp_path: Path) -> None:
    source = """
from harness.cli.quick_start import LONGER_RUN, quick_start_plan, shipped
print((shipped(LONGER_RUN) / "heads.md").read_text())
print(*quick_start_plan().policies, sep="\\n")
"""
    code, shown, error = started(tmp_path, str(installed / "python"), "-c", source)
    assert code == 0, error
    *_, policy = shown.splitlines()
    assert policy.endswith("checkpoints/maniskill/masked")
    assert str(installed.parent) in policy
    words = ("--benchmark", "maniskill_rdt/PushCube-v1", "--protocol", "rdt-small")
    out = ("--episodes", "1", "--out", "run")
    run = (str(installed / "assay"), "run", "--policy", policy)
    code, shown, error = started(tmp_path, *run, *words, *out)
    assert code == 0, error
    assert "masked@" in shown


def test_the_python_api(installed: Path, tmp_path: Path) -> None:
    source = """
import assay, harness
print(assay.__file__, harness.__file__)
run = assay.evaluate("random", "maniskill_rdt", tasks=["PushCube-v1"], episodes=1, progress=False)
print(run.path, len(run.episodes()), run.summary()["n"].tolist())
try:
    assay.load("nothing")
except assay.UsageError as error:
    print(error)
"""
    code, shown, error = started(tmp_path, str(installed / "python"), "-c", source)
    assert code == 0, error
    files, run, message = shown.splitlines()
    assert files.count(str(installed.parent)) == 2
    assert run == "results/random-maniskill_rdt 1 [1, 1]"
    assert message == "nothing holds no run (no run.json); see: assay run --help"
