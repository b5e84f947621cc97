"""The one way to refuse a request: a status, a code for programs, a sentence for people."""

from collections.abc import Mapping

from ssna.core.errors import SsnaError


class RequestError(SsnaError):
    """What becomes ``{"error": {"code", "message"}}``.

    Args:
        status: of HTTP, 4xx, or 503 for what may be asked again.
        code: stable, in snake case.
        message: the culprit and the remedy or the limit.
        headers: of the response.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, dict(headers or {})
