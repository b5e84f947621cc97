"""What long requests and answers took is given back to the system; the server keeps what all the others need."""

import asyncio

from ssna.compute.allocator import trim_heap

SECONDS = 15.0  # between two looks

_needed = False


def memory_was_used() -> None:
    """A request or an answer was long."""
    global _needed
    _needed = True


async def give_memory_back() -> None:
    """Without end: look whether there is something to give back."""
    global _needed
    while True:
        await asyncio.sleep(SECONDS)
        if _needed:
            _needed = False
            await asyncio.to_thread(trim_heap)
