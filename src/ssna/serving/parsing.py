"""Bodies from bytes to checked values: the checks that all ways in share, as refusals of HTTP."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ssna.core import fields, json_input
from ssna.core.json_input import JsonError
from ssna.serving.limits import LIMITS
from ssna.serving.refusal import RequestError

ModelT = TypeVar("ModelT", bound=BaseModel)
BODY = "the body"


def parse(model: type[ModelT], body: bytes) -> ModelT:
    """``body`` as ``model``. Raises :class:`RequestError`: 400 for what is no JSON, 422 for what is not this model."""
    value = read_json(body)
    try:
        return model.model_validate(value)
    except ValidationError as invalid:
        errors = invalid.errors(include_input=False, include_url=False)
        if errors[0]["type"] != "condition" and _depth(value) > LIMITS.json_depth:  # a condition says itself where
            raise _too_deep() from None
        raise RequestError(422, "invalid", explain(errors)) from None


def read_json(body: bytes) -> Any:
    """The JSON value in ``body``. Raises :class:`RequestError` with 400."""
    try:
        return json_input.read_json(body, BODY)
    except JsonError as error:
        raise _too_deep() if error.code == "too_deep" else RequestError(400, error.code, str(error)) from None


def explain(errors: Sequence[Any]) -> str:
    """What is wrong in one line: pydantic's first error, and how many more there are."""
    return fields.explain(errors, BODY)


def _too_deep() -> RequestError:
    return RequestError(400, "too_deep", f"the body is nested more than {LIMITS.json_depth} deep")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [node for node in level if isinstance(node, dict | list)]:
        depth += 1
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
    return depth
