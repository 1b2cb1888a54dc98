"""The command line on incomplete installations."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.contracts.extras import install_hint

ROOT = Path(__file__).parents[3]
RUN = ("run", "--policy", "homing", "--benchmark", "points_two", "--episodes", "1")


def command(*arguments: str, before: str = "", path: Path | None = None) -> tuple[int, str, str]:
    """Run the command line in a new process; return its exit code, stdout and stderr.

    The process first executes the code `before`; `path` is put on its import path.
    """
    code = f"import sys\n{before}\nfrom harness.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    packages = os.environ["PYTHONPATH"]
    environment = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{packages}" if path else packages}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def without(*packages: str) -> str:
    """Return Python code that makes these packages impossible to import."""
    return f"""
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""


def broken_plugin(folder: Path) -> Path:
    """Write a package whose benchmark and policy raise when they are imported."""
    facts = folder / "assay_broken-1.dist-info"
    facts.mkdir(parents=True)
    (folder / "assay_broken.py").write_text("raise RuntimeError('half installed')\n")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: assay-broken\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(
        "[assay.benchmarks]\nbroken_family = assay_broken:Family\n"
        "[assay.policies]\nbroken_policy = assay_broken:Mine\n"
    )
    return folder


def test_help_and_lists_need_no_optional_package() -> None:
    missing = without("ray", "torch", "matplotlib", "jinja2", "websockets", "msgpack", "imageio")
    assert command("--help", before=missing)[0] == 0
    code, shown, _ = command("list", "benchmarks", before=missing)
    assert (code, "points_two" in shown) == (0, True)
    code, shown, _ = command("list", "policies", before=missing)
    assert code == 0
    assert 'pip install "assay[policies]"' in shown


def test_run_needs_no_optional_package(tmp_path: Path) -> None:
    missing = without("ray", "torch", "matplotlib", "jinja2", "websockets", "msgpack", "imageio")
    code, shown, error = command(*RUN, "--out", str(tmp_path), before=missing)
    assert code == 0, error
    assert "homing" in shown
    assert (tmp_path / "tables" / "summary.md").is_file()
    assert not (tmp_path / "tables" / "report.html").exists()
    assert 'pip install "assay[report]"' in error


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("ray", (*RUN, "--workers", "2"), "ray"),
        ("torch", ("run", "--policy", "vla:x", "--benchmark", "points_two"), "policies"),
        ("websockets", ("serve", "--policy", "homing"), "serve"),
    ],
)
def test_missing_extra_gives_one_line_with_the_install_command(
    tmp_path: Path, package: str, arguments: tuple[str, ...], extra: str
) -> None:
    out = ("--out", str(tmp_path)) if arguments[0] == "run" else ()
    code, _, error = command(*arguments, *out, before=without(package))
    assert code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert f'pip install "assay[{extra}]"' in error


def test_unknown_missing_package_has_no_install_command() -> None:
    assert install_hint(ModuleNotFoundError(name="ray.util")) == 'pip install "assay[ray]"'
    assert install_hint(ModuleNotFoundError(name="their_package")) is None


def test_broken_plugin_is_named_and_the_rest_works(tmp_path: Path) -> None:
    folder = broken_plugin(tmp_path / "plugin")
    code, shown, error = command("list", "benchmarks", path=folder)
    assert (code, "points_two" in shown) == (0, True)
    assert "'broken_family' cannot be imported (RuntimeError: half installed)" in error
    code, shown, _ = command("list", "policies", path=folder)
    assert code == 0
    assert "'broken_policy' cannot be imported" in shown
    assert command(*RUN, "--out", str(tmp_path / "run"), path=folder)[0] == 0
    code, _, error = command("run", "--policy", "broken_policy", "--benchmark", "x", path=folder)
    assert (code, error.count("\n")) == (2, 1)


def test_run_without_git_records_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command(*RUN, "--out", str(tmp_path / "run"))[0] == 0
    assert '"git": null' in (tmp_path / "run" / "run.json").read_text()
