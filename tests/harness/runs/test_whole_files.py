"""Every file of a run and of a report is old or new, whatever fails while it is written."""

import multiprocessing
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from harness.cli import main as run_eval
from harness.contracts.atomic import write_whole
from harness.runs.folder import Run

RUN = ["run", "--policy", "homing", "--benchmark", "points_two", "--protocol", "short"]

pytestmark = pytest.mark.usefixtures("points")


def run(out: Path, episodes: int) -> int:
    return run_eval.main([*RUN, "--episodes", str(episodes), "--out", str(out)])


def results(out: Path) -> list[dict[str, object]]:
    return [record.deterministic() for _, record in sorted(Run.existing(out).records().items())]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def one_line(capsys: pytest.CaptureFixture[str], why: str) -> None:
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert error.startswith("error: cannot write")
    assert why in error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def leave(disk: Path, pages: int) -> None:
    """Fill a disk except for a few pages of 4 KiB."""
    (disk / "filler").unlink(missing_ok=True)
    left = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(left.f_bsize * max(left.f_bavail - pages, 0)))


@pytest.mark.parametrize("pages", [0, 1, 2, 4])
def test_a_report_on_a_full_disk_leaves_every_file_old_or_new(
    small_disk: Path, capsys: pytest.CaptureFixture[str], pages: int
) -> None:
    out = small_disk / "run"
    assert run(out, 1) == 0
    whole = contents(out)
    tables = {name for name in whole if name.startswith("tables/")}
    assert len(tables) >= 4
    for name in tables:
        (out / name).write_text("old\n")
    leave(small_disk, pages)
    capsys.readouterr()
    command = ["report", str(out), "--format", "md,csv,html"]
    assert run_eval.main(command) == 3
    one_line(capsys, "No space left on device; make room and write the report again")
    after = contents(out)
    assert set(after) == set(whole)
    new = {name for name in tables if after[name] == whole[name]}
    assert {after[name] for name in tables - new} == {b"old\n"}
    assert len(new) >= pages - 1
    (small_disk / "filler").unlink()
    assert run_eval.main(command) == 0
    assert {name: contents(out)[name] for name in tables} == {n: whole[n] for n in tables}


@pytest.mark.parametrize("pages", [0, 2, 4, 7])
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], pages: int
) -> None:
    assert run(tmp_path / "whole", 3) == 0
    out = small_disk / "run"
    assert run(out, 1) == 0
    leave(small_disk, pages)
    capsys.readouterr()
    assert run(out, 3) == 3
    error = " ".join(capsys.readouterr().err.split())
    assert error.count("No space left on device") == 1
    assert "Traceback" not in error
    assert len(results(out)) >= 2
    assert not list(out.rglob(".*.partial"))
    (small_disk / "filler").unlink()
    assert run(out, 3) == 0
    assert results(out) == results(tmp_path / "whole")


@pytest.mark.parametrize("pages", [0, 1, 3])
def test_a_run_cannot_begin_on_a_full_disk(
    small_disk: Path, capsys: pytest.CaptureFixture[str], pages: int
) -> None:
    leave(small_disk, pages)
    assert run(small_disk / "run", 1) == 3
    assert "No space left on device" in " ".join(capsys.readouterr().err.split())
    (small_disk / "filler").unlink()
    assert run(small_disk / "run", 1) == 0


@pytest.fixture
def largest_file() -> Iterator[None]:
    """Restore the limit on the sizes of files."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("largest_file")
@pytest.mark.parametrize("most", [0, 100, 700])
def test_a_limit_on_files_is_like_a_full_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], most: int
) -> None:
    assert run(tmp_path, 1) == 0
    before = contents(tmp_path)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    capsys.readouterr()
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    codes = [run_eval.main(["report", str(tmp_path)]), run(tmp_path, 2)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert codes == [3, 3]
    assert " ".join(capsys.readouterr().err.split()).count("File too large") == 2
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert run(tmp_path, 2) == 0


def _killed(call: int, out: Path) -> None:
    """Run, and die while the n-th file is written."""
    calls, fsync = [0], os.fsync

    def counted(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    with mock.patch("os.fsync", counted):
        run(out, 2)
    os._exit(0)


def test_a_kill_while_any_file_is_written_loses_nothing(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(whole, 2) == 0
    kills = 0
    while True:
        process = multiprocessing.get_context("fork").Process(target=_killed, args=(kills + 1, out))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        kills += 1
        if (out / "run.json").exists():
            assert [r for r in results(whole) if r in results(out)] == results(out)
    assert kills > 5
    assert results(out) == results(whole)
    assert not list(out.glob(".*")) + list((out / "actions").glob(".*"))


def test_a_file_that_fails_halfway_is_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "table.md"
    write_whole(target, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(target, "new \udcff")
    assert contents(tmp_path) == {"table.md": b"old"}
    (tmp_path / "link").symlink_to(target)
    write_whole(tmp_path / "link", "new")
    assert target.read_bytes() == b"old"


def test_an_incomplete_session_loses_no_other(tmp_path: Path) -> None:
    assert run(tmp_path, 1) == 0
    sessions = tmp_path / "sessions.jsonl"
    with sessions.open("a") as file:
        file.write('{"started": 1, "work')
    assert run(tmp_path, 2) == 0
    assert len(Run.existing(tmp_path).sessions()) == 2


def test_special_files_in_a_run_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device never ends, and a pipe waits for its writer."""
    assert run(tmp_path, 1) == 0
    (tmp_path / "sessions.jsonl").unlink()
    (tmp_path / "sessions.jsonl").symlink_to("/dev/zero")
    assert run(tmp_path, 2) == 2
    assert "sessions.jsonl is no regular file" in capsys.readouterr().err
    (tmp_path / "sessions.jsonl").unlink()
    record = next(Run.existing(tmp_path).log())
    action = tmp_path / "actions" / f"{record.spec.key}.npy"
    action.unlink()
    os.mkfifo(action)
    assert run_eval.main(["replay", str(tmp_path), record.spec.key]) == 2
    assert "cannot read the actions" in capsys.readouterr().err
