"""The OpenAPI document against what the service does: requests that it allows, and requests that it does not."""

import shutil

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from ssna.serving.app import create_app
from ssna.serving.keys import Keys
from ssna.serving.service import Service

pytestmark = pytest.mark.long

KEY = "secret"
OPERATIONS = [
    "POST /recommend",
    "POST /recommend/batch",
    "GET /similar/{item}",
    "GET /items",
    "PUT /items",
    "GET /items/{item}",
    "DELETE /items/{item}",
    "POST /reload",
    "POST /events",
    "GET /users/{user}/recommend",
    "GET /users/{user}/history",
    "DELETE /users/{user}",
    "GET /runs",
    "GET /attributes",
    "POST /explain",
    "POST /rank_text",
    "GET /health",
    "GET /ready",
    "GET /metrics",
]


REFUSED = [400, 401, 403, 404, 413, 415, 422]  # 421 and 429 need options that are not set here
CONFIG = {  # a body may be too large, whatever stands in it
    "checks": {
        "negative_data_rejection": {"expected-statuses": REFUSED},
        "positive_data_acceptance": {"expected-statuses": ["2xx", 403, 404, 409, 413]},
    }
}


class Lasting(Service):
    """Every request here is an application's whole life; this one's service goes on."""

    async def stop(self) -> None:
        pass


@pytest.fixture(scope="module")
def document(run_folders, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(run_folders["ssna"], folder / "ssna")
    service = Lasting(folder / "ssna", folder / "state")
    service.load()
    service.missing = None
    config = schemathesis.Config.from_dict(CONFIG)
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(service, Keys(KEY)), config=config)


RULES = ("where", "boost", "at_least", "diversity")


def without_rules(body):
    """Which attributes there are, no document says: most rules that it allows get a 422 that names the place."""
    if isinstance(body, dict):
        for each in [body, *(one for one in body.get("requests", ()) if isinstance(one, dict))]:
            for name in RULES:
                each.pop(name, None)


def test_every_operation_of_the_document_is_tried_below(document):
    assert {result.ok().label for result in document.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_one_that_the_document_has(document, operation, mode):
    method, path = operation.split()
    found = document[path][method]
    if mode is GenerationMode.NEGATIVE and not (found.body or found.query or found.path_parameters):
        pytest.skip("it takes nothing that could be wrong")

    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    @given(case=found.as_strategy(generation_mode=mode))
    def answers(case):
        if mode is GenerationMode.POSITIVE:
            without_rules(case.body)
        lacking = mode is GenerationMode.NEGATIVE and "X-API-Key" not in (case.headers or {})  # that is what is wrong
        case.call_and_validate(headers={} if lacking else {"X-API-Key": KEY})

    answers()
