"""The command `audit`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class AuditCommand:
    """Recompute published numbers and list those that do not add up."""

    reference: Path | None = None
    """The folder of published tables. Default: the tables included in Assay."""

    def __call__(self) -> int:
        """Print the findings. The exit code is 0, because the mistakes are in the papers."""
        from harness.published.audit import audit
        from harness.published.reference import REFERENCE, read_tables

        print(audit(read_tables(self.reference or REFERENCE)).markdown())
        return 0
