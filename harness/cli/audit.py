"""The command `audit`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class AuditCommand:
    """Recompute published numbers and list those that contradict each other."""

    reference: Path | None = None
    """The folder of published tables. Default: the tables that come with Assay."""

    def __call__(self) -> int:
        """Print the findings. They are mistakes of the papers, so the exit code is 0."""
        from harness.published.audit import audit
        from harness.published.reference import REFERENCE, read

        print(audit(read(self.reference or REFERENCE)).markdown())
        return 0
