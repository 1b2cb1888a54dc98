"""Names the optional extra that installs a missing package."""

EXTRAS = {
    "imageio": "video",
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


def install_hint(error: ModuleNotFoundError) -> str | None:
    """Return the command that installs the missing package; None if it is not one of ours."""
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    return f'pip install "assay[{extra}]"' if extra else None
