"""The API key: read from a file, and compared without a hint to those who guess it."""

import hmac
import socket
from pathlib import Path

import pytest

from harness.contracts.errors import UsageError
from harness.serving.api_key import is_authorized, read_api_key
from tests.helpers.serving import served


@pytest.mark.parametrize("content", ["", "a b", "a\nb", "é", "\x07"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(UsageError, match="must hold a key of printable ASCII"):
        read_api_key(tmp_path / "key")
    (tmp_path / "key").write_text(" secret\n")
    assert read_api_key(tmp_path / "key") == "secret"


def test_only_the_whole_key_is_authorized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only hmac's comparison takes the same time for every wrong key; see perf/api_key.py."""
    asked = []
    compare = hmac.compare_digest

    def counted(given: bytes, key: bytes) -> bool:
        asked.append(given)
        return compare(given, key)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    wrong = ["", "secret", "Api-Key", "Api-Key ", "Api-Key secre", "Api-Key secrex"]
    wrong += ["Api-Key xecret", "Api-Key secret ", "api-key secret", "Api-Key \udcff"]
    wrong += ["Api-Key secret\nApi-Key secret"]
    assert not any(is_authorized(given, "secret") for given in wrong)
    assert is_authorized("Api-Key secret", "secret")
    assert len(asked) == len(wrong) + 1


def test_bytes_that_are_no_text_are_no_key() -> None:
    with served("homing", api_key="secret") as port:
        for header in (b"Api-Key \xff\xfe", b"\x80"):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(
                    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                    b"Authorization: " + header + b"\r\n\r\n"
                )
                assert client.recv(100).startswith(b"HTTP/1.1 401")
