"""How many examples a property is tried with: few as a rule, ``SOAK`` times as many in ``make soak``."""

import os

FACTOR = int(os.environ.get("SOAK", "1"))


def examples(few: int) -> int:
    """As many as this run takes."""
    return few * FACTOR
