"""The API key that a server asks its clients for."""

import hmac
from pathlib import Path

from harness.contracts.errors import UsageError


def read_api_key(path: Path) -> str:
    """Return the key in a file.

    Raises:
        UsageError: The file cannot be read, or holds no key that fits into a header.
    """
    try:
        key = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the API key in {path}: {error}") from error
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"{path} must hold a key of printable ASCII letters on one line")
    return key


def is_authorized(authorization: str, key: str) -> bool:
    """Return whether the content of a client's header Authorization is the key.

    The time that this takes tells nothing about the letters of the key.
    """
    return hmac.compare_digest(authorization.encode(errors="replace"), f"Api-Key {key}".encode())
