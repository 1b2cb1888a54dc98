"""A local Ray lets in nobody but its run, and leaves nothing behind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from harness.backends.ray import local
from harness.backends.ray.backend import connect, disconnect
from harness.backends.ray.options import RayOptions

JOIN = """
import sys
import ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="critical")
print(ray.get(ray.remote(lambda: "came in").remote()))
"""


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start Ray in an empty folder with a short path; the folder is empty again at the end."""
    ray.shutdown()
    folder = Path("/tmp", f"b{os.getpid()}")
    folder.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    connect(RayOptions(workers=1))
    yield folder
    disconnect()
    folder.rmdir()


def join(home: Path, **token: str) -> subprocess.CompletedProcess[str]:
    """Try to join Ray as a process with this token, or none."""
    address = ray.get_runtime_context().gcs_address
    theirs = {name: text for name, text in os.environ.items() if not name.startswith("RAY_AUTH")}
    return subprocess.run(
        [sys.executable, "-c", JOIN, address],
        env=theirs | {"HOME": str(home)} | token,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
def test_only_who_knows_the_token_joins(base: Path, tmp_path: Path) -> None:
    key = os.environ["RAY_AUTH_TOKEN"]
    without = join(tmp_path)
    wrong = join(tmp_path, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=key[::-1])
    right = join(tmp_path, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=key)
    assert "came in" not in without.stdout + wrong.stdout
    assert without.returncode
    assert wrong.returncode
    assert "InvalidAuthToken" in without.stderr
    assert "InvalidAuthToken" in wrong.stderr
    assert right.stdout == "came in\n"


def test_only_this_user_enters_the_folder(base: Path) -> None:
    (folder,) = base.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("plasma_store*"))


def test_token_is_not_the_users_and_not_in_a_file(base: Path) -> None:
    key = os.environ["RAY_AUTH_TOKEN"].encode()
    user = Path.home() / ".ray" / "auth_token"
    assert not user.exists() or user.read_bytes() != key
    for file in base.rglob("*"):
        assert not file.is_file() or key not in file.read_bytes()


def test_long_temporary_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray.shutdown()
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    assert connect(RayOptions(workers=1))
    assert not list(long.iterdir())
    disconnect()
    assert len(str(long)) > local.LONGEST_BASE
