import pytest
from clients import error, served

from ssna.core.errors import SsnaError
from ssna.serving import access as module
from ssna.serving.access import Access, RateLimit, allowed_hosts, check_host, client_of, is_wildcard
from ssna.serving.keys import OF_SCOPE, Keys
from ssna.serving.refusal import RequestError

BODY = {"history": ["i1"]}


def host(*names: str) -> dict:
    return {"headers": [(b"accept", b"*/*"), *((b"host", name.encode()) for name in names)]}


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]", "10.0.0.5:1"])
def test_a_server_answers_to_its_address_and_to_the_names_of_this_machine(name):
    check_host(host(name), allowed_hosts("10.0.0.5", []))


@pytest.mark.parametrize("names", [("evil.example",), (), ("",), ("localhost", "localhost"), ("localhost.evil",)])
def test_a_request_to_another_name_is_refused(names):
    with pytest.raises(RequestError, match="not called") as refused:
        check_host(host(*names), allowed_hosts("127.0.0.1", []))
    assert refused.value.status == 421


def test_names_may_be_given_and_a_star_takes_any():
    assert allowed_hosts("0.0.0.0", ["*"]) is None
    check_host(host("other.example"), None)
    check_host(host("shop.example.:443"), allowed_hosts("0.0.0.0", ["Shop.example"]))


@pytest.mark.parametrize("address", ["0.0.0.0", "::", ""])
def test_a_server_of_every_address_must_be_told_its_names(address):
    assert is_wildcard(address)
    with pytest.raises(SsnaError, match="--allowed-host"):
        allowed_hosts(address, [])


@pytest.fixture(scope="module")
def guarded(run_folders, tmp_path_factory):
    access = Access(allowed_hosts("127.0.0.1", []), ("https://shop.example",), rate=None)
    with served(run_folders["ssna"], tmp_path_factory.mktemp("state"), access=access) as client:
        yield client


def test_a_request_to_another_server_is_told_so_on_every_route(guarded):
    for method, path in [("GET", "/health"), ("GET", "/"), ("POST", "/recommend"), ("GET", "/nowhere")]:
        assert error(guarded.request(method, path), 421)[0] == "wrong_host"
    assert guarded.get("/health", headers={"Host": "localhost"}).status_code == 200


def test_every_answer_says_that_its_type_is_not_to_be_guessed(unchanged):
    for method, path in [("GET", "/"), ("GET", "/health"), ("POST", "/recommend"), ("GET", "/nowhere"), ("PUT", "/")]:
        assert unchanged.request(method, path).headers.get_list("x-content-type-options") == ["nosniff"]


def test_pages_of_allowed_origins_may_read_answers_and_no_others(guarded):
    headers = {"Host": "localhost", "Origin": "https://shop.example"}
    for response in (
        guarded.post("/recommend", json=BODY, headers=headers), guarded.get("/items/none", headers=headers),
        guarded.options("/recommend", headers=headers | {"Access-Control-Request-Method": "POST",
                                                         "Access-Control-Request-Headers": "Content-Type"}),
    ):  # fmt: skip
        assert response.headers["access-control-allow-origin"] == "https://shop.example"
    other = guarded.post("/recommend", json=BODY, headers=headers | {"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_without_the_option_no_page_elsewhere_may_read_answers(unchanged):
    headers = {"Origin": "https://shop.example"}
    assert "access-control-allow-origin" not in unchanged.post("/recommend", json=BODY, headers=headers).headers
    assert unchanged.options("/recommend", headers=headers).status_code == 405


# rate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def taken(limit: RateLimit, client: str = "a", tries: int = 100) -> int:
    """Requests that are let in at once."""
    for number in range(tries):
        try:
            limit.check(client)
        except RequestError:
            return number
    return tries


def test_a_client_has_its_rate_and_two_seconds_of_it_at_once():
    clock = Clock()
    limit = RateLimit(5, clock)
    assert taken(limit) == 10
    assert taken(limit, "b") == 10
    clock.now += 1
    assert taken(limit) == 5
    clock.now += 100
    assert taken(limit) == 10


def test_a_rate_below_one_a_second_still_lets_one_in():
    clock = Clock()
    limit = RateLimit(0.1, clock)
    assert taken(limit) == 1
    with pytest.raises(RequestError) as refused:
        limit.check("a")
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "10"})
    clock.now += 10
    assert taken(limit) == 1


def test_a_batch_counts_as_its_requests():
    clock = Clock()
    limit = RateLimit(5, clock)
    limit.check("a")
    limit.charge("a", 24)
    assert taken(limit) == 0
    clock.now += 3
    assert taken(limit) == 0
    clock.now += 1
    assert taken(limit) == 5


def test_clients_that_are_remembered_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "CLIENTS", 3)
    limit = RateLimit(1)
    for number in range(9):
        limit.check(str(number))
    assert list(limit._free) == ["6", "7", "8"]


def scope(address: str, *headers: tuple[bytes, bytes]) -> dict:
    return {"client": (address, 1), "headers": list(headers)}


def test_a_client_is_its_address_its_network_or_whoever_has_the_key():
    assert client_of(scope("10.0.0.1")) == "10.0.0.1"
    assert client_of(scope("2001:db8::1")) == client_of(scope("2001:db8::ffff:1"))
    assert client_of(scope("2001:db8::1")) != client_of(scope("2001:db8:0:1::1"))
    assert client_of({"headers": []}) == "unknown"
    for given, name in (("secret", "key api-key"), ("wrong", "10.0.0.1")):
        asked = scope("10.0.0.1", (b"x-api-key", given.encode()))
        assert client_of(asked | {OF_SCOPE: Keys("secret").of(asked)}) == name


def test_too_many_requests_of_a_client_are_a_429_that_says_when_to_ask_again(run_folders, tmp_path):
    with served(run_folders["ssna"], tmp_path / "state", access=Access(rate=2)) as client:
        assert [client.post("/recommend", json=BODY).status_code for _ in range(5)] == [200] * 4 + [429]
        response = client.post("/recommend/batch", json={"requests": [BODY]})
        assert error(response, 429)[0] == "too_many_requests"
        assert int(response.headers["retry-after"]) == 1
        assert client.get("/health").status_code == 200
        headers = {"X-API-Key": "secret"}
        assert client.post("/recommend/batch", json={"requests": [BODY] * 9}, headers=headers).status_code == 200
        assert client.post("/recommend", json=BODY, headers=headers).headers["retry-after"] == "3"
