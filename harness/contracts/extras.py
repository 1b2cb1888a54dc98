"""Names the commands of this installation: the program, and what installs a missing package."""

import sys
from pathlib import Path

EXTRAS = {
    "imageio": "video",
    "imageio_ffmpeg": "video",
    "jinja2": "report",
    "matplotlib": "report",
    "msgpack": "serve",
    "PIL": "demos",
    "pyarrow": "demos",
    "ray": "ray",
    "safetensors": "policies",
    "tokenizers": "policies",
    "torch": "policies",
    "websockets": "serve",
}
"""The extra of each optional package, by the name under which it is imported."""

ROOT = Path(__file__).parents[2]
"""The checkout, or site-packages."""


def is_checkout() -> bool:
    """Return whether Assay runs from a checkout, not from an installed wheel."""
    return (ROOT / "pyproject.toml").is_file() and (ROOT / "run_eval.py").is_file()


def program_name() -> str:
    """Return the name by which the user starts the command line: run_eval.py or assay."""
    started = Path(sys.argv[0] if sys.argv else "").name
    if started in ("assay", "run_eval.py"):
        return started
    return "run_eval.py" if is_checkout() else "assay"


def program_words() -> list[str]:
    """Return the words with which a shell starts the command line."""
    name = program_name()
    return ["python", name] if name.endswith(".py") else [name]


def install_hint(error: ModuleNotFoundError) -> str | None:
    """Return the command that installs the missing package; None if it is not one of ours."""
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    return f'pip install "assay[{extra}]"' if extra else None


def install_command(extra: str) -> str:
    """Return the command that installs an extra, with the tested versions if they are known."""
    if is_checkout():
        return f'pip install -e ".[{extra}]" -c constraints.txt'
    return f'pip install "assay[{extra}]"'
