"""What some types need besides sizes by name: ``type`` or ``type.sub_config`` -> fields; ``...`` leaves the default."""

from typing import Any

SPECIAL: dict[str, dict[str, Any]] = {}
