"""Logs as JSON lines on standard error; no history, no id and no text is ever in them."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


def log(event: str, **fields: Any) -> None:
    """One line."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stderr.write(json.dumps({"time": now, "event": event, **fields}, ensure_ascii=False) + "\n")


class JsonHandler(logging.Handler):
    """What libraries log, as lines of the same kind; of an exception its type and place, not its message."""

    def emit(self, record: logging.LogRecord) -> None:
        """A line of JSON for one record."""
        cause = record.exc_info[1] if record.exc_info else None
        where = {} if cause is None else described(cause)
        log("library", level=record.levelname.lower(), logger=record.name, message=str(record.msg)[:200], **where)


def described(error: BaseException) -> dict[str, str]:
    """The type of an error and where it was raised; its message may quote a request."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return {"error": type(error).__name__, "at": where}
