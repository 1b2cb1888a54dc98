"""The command line; see harness/cli."""

import sys

from harness.play.threads import use_one_core

use_one_core()

from harness.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
