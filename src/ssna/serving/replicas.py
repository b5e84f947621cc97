"""Several servers over one state: each takes over what the others change."""

import asyncio
from typing import TYPE_CHECKING

from ssna.core.errors import SsnaError
from ssna.serving.logs import described, log

if TYPE_CHECKING:
    from ssna.serving.changes import Changes

SECONDS = 0.4  # between two looks at the state
PATIENCE_SECONDS = 5.0  # while it cannot be read, or not be taken over


async def follow(changes: "Changes") -> None:
    """Without end: look whether another server has changed the state, and take that over."""
    trouble = ""
    while True:
        await asyncio.sleep(PATIENCE_SECONDS if trouble else SECONDS)
        try:
            await changes.follow()
            trouble = ""
        except SsnaError as cause:
            if trouble != str(cause):  # it is told once
                log(
                    "store", level="error", message=f"{cause}; until it can, what other servers change is not seen here"
                )
            trouble = str(cause)
        except Exception as error:
            trouble = repr(error)
            log("store", level="error", **described(error))
