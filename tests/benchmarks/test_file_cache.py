"""The folder of files that can be made again."""

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.file_cache import FileCache

CONTENT = bytes(range(200))
KEY = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def cache(folder: Path) -> FileCache:
    return FileCache(folder, 10_000)


def put(cache: FileCache, content: bytes = CONTENT) -> str:
    return cache.put([memoryview(content[:50]), memoryview(content[50:])])


def read(cache: FileCache, digest: str, size: int = len(CONTENT)) -> bytes:
    first, second = bytearray(30), bytearray(size - 30)
    cache.fill(digest, [memoryview(first), memoryview(second)])
    return bytes(first + second)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def empty(path: Path) -> None:
    os.truncate(path, 0)


harms = pytest.mark.parametrize("harm", [flip, cut, lengthen, empty])


def test_content_is_kept_once_and_for_this_user_only(cache: FileCache, folder: Path) -> None:
    digest = put(cache)
    assert put(cache) == digest
    assert read(cache, digest) == CONTENT
    assert [path.name for path in folder.iterdir()] == [digest]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / digest).stat().st_mode & 0o777 == 0o600


@harms
def test_damaged_content_is_refused_and_written_again(
    cache: FileCache, folder: Path, harm: Callable[[Path], None]
) -> None:
    digest = put(cache)
    harm(folder / digest)
    with pytest.raises(OSError, match="damaged"):
        read(cache, digest)
    put(cache)
    assert read(cache, digest) == CONTENT


def test_content_of_another_length_is_refused(cache: FileCache) -> None:
    digest = put(cache)
    with pytest.raises(OSError, match="damaged"):
        read(cache, digest, len(CONTENT) + 1)


@harms
def test_damaged_content_of_a_key_is_refused(
    cache: FileCache, folder: Path, harm: Callable[[Path], None]
) -> None:
    cache.put_by_key(KEY, CONTENT)
    assert cache.get_by_key(KEY) == CONTENT
    harm(folder / f"{KEY}.key")
    with pytest.raises(OSError, match="damaged"):
        cache.get_by_key(KEY)
    cache.put_by_key(KEY, b"new")
    assert cache.get_by_key(KEY) == b"new"


def test_content_of_another_key_is_refused(cache: FileCache, folder: Path) -> None:
    other = "cd" * 32
    cache.put_by_key(KEY, CONTENT)
    (folder / f"{KEY}.key").rename(folder / f"{other}.key")
    with pytest.raises(OSError, match="damaged"):
        cache.get_by_key(other)


@pytest.mark.parametrize("mode", [0o660, 0o606])
def test_a_file_that_others_can_write_is_refused_and_replaced(
    cache: FileCache, folder: Path, mode: int
) -> None:
    digest = put(cache)
    (folder / digest).chmod(mode)
    with pytest.raises(PermissionError):
        read(cache, digest)
    put(cache)
    assert read(cache, digest) == CONTENT


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_another_user_owns_is_refused(cache: FileCache, folder: Path) -> None:
    digest = put(cache)
    os.chown(folder / digest, 65534, 65534)
    with pytest.raises(PermissionError):
        read(cache, digest)
    os.chown(folder, 65534, 65534)
    with pytest.raises(PermissionError):
        FileCache(folder, 10_000)


def test_links_and_pipes_are_refused(cache: FileCache, folder: Path, tmp_path: Path) -> None:
    digest = put(cache)
    real = tmp_path / "real"
    (folder / digest).rename(real)
    (folder / digest).symlink_to(real)
    with pytest.raises(OSError, match="symbolic links"):
        read(cache, digest)
    (folder / digest).unlink()
    os.mkfifo(folder / digest)
    with pytest.raises(OSError, match="not a plain file"):
        read(cache, digest)


def make_open(path: Path) -> None:
    path.mkdir()
    path.chmod(0o770)


def make_link(path: Path) -> None:
    path.with_name("real").mkdir(mode=0o700)
    path.symlink_to(path.with_name("real"))


@pytest.mark.parametrize("make", [make_open, make_link, Path.touch])
def test_an_unsafe_folder_is_refused(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder)
    with pytest.raises(OSError, match=r"another user|not a plain"):
        FileCache(folder, 10_000)


def test_what_was_used_last_stays_within_the_limit(cache: FileCache, folder: Path) -> None:
    digests = [put(cache, bytes([index]) * 3000) for index in range(4)]
    for age, digest in enumerate(digests):
        os.utime(folder / digest, (1000 + age, 1000 + age))
    (folder / "new-abc").write_bytes(bytes(2000))
    os.utime(folder / "new-abc", (1, 1))
    (folder / "notes of somebody").write_bytes(bytes(20_000))
    os.utime(folder / "notes of somebody", (1, 1))
    read(cache, digests[0], 3000)
    cache.trim()
    left = {path.name for path in folder.iterdir()}
    assert left == {digests[0], digests[2], digests[3], "notes of somebody"}


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """Let this process write no file above 100 bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_nothing_behind(cache: FileCache, folder: Path) -> None:
    with small_files():
        with pytest.raises(OSError, match="too large"):
            put(cache)
        with pytest.raises(OSError, match="too large"):
            cache.put_by_key(KEY, CONTENT)
    assert list(folder.iterdir()) == []
