"""``python -m ssna`` is ``ssna``."""

from ssna.cli import main

main()
