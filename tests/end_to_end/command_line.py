"""The command line, in this process."""

import sys

from ssna.cli import main


def ssna(*words: object) -> int:
    """The exit code of ``ssna`` with these words."""
    before, sys.argv = sys.argv, ["ssna", *map(str, words)]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = before
    return 0
