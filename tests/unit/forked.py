"""Jobs in forked processes, which are ended where they hang."""

import json
import multiprocessing
from collections.abc import Callable
from typing import Any

SECONDS = 240  # more than new interpreters take to import everything on a busy machine


def answer_of(job: Callable[..., Any], *arguments: Any, method: str = "fork") -> Any:
    """What ``job`` gives in a process of its own, or ``"hangs"``; JSON values.

    Args:
        method: of :mod:`multiprocessing`; all but ``fork`` pickle the job and its arguments.
    """
    context: Any = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    child = context.Process(target=_send, args=(theirs, job, *arguments))
    child.start()
    theirs.close()
    try:
        return json.loads(ours.recv()) if ours.poll(SECONDS) else "hangs"
    finally:
        child.kill()
        child.join()


def _send(connection: Any, job: Callable[..., Any], *arguments: Any) -> None:
    connection.send(json.dumps(job(*arguments)))
