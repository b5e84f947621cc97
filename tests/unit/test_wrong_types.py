"""Every public function, called with arguments of the wrong type: a line in words, no traceback of a library."""

import inspect

import numpy as np
import pandas as pd
import pytest
from data_files import square

import ssna
from ssna.core.errors import SsnaError
from ssna.runs import train

FRAME = pd.DataFrame({"a": [1]})


@pytest.fixture(scope="module")
def trained(random_data):
    data = random_data(seed=3, users=30, items=20)
    return data, train(data, method="item-knn", quiet=True).recommender


CALLS = {
    "min_user is text": (
        lambda data, model: ssna.prepare("log.csv", min_user="5"),
        "min_user = '5': it must be a whole",
    ),
    "split is a number": (lambda data, model: ssna.prepare("log.csv", split=3), "split = 3: it must be text"),
    "text_cols is a number": (
        lambda data, model: ssna.prepare("log.csv", text_cols=3),
        "text_cols = 3: it must be a l",
    ),
    "out is a frame": (
        lambda data, model: ssna.prepare("log.csv", out=FRAME),
        "out must be text or a path, not a pand",
    ),
    "an option is misspelt": (lambda data, model: ssna.prepare("log.csv", min_users=5), "did you mean min_user?"),
    "append to a frame": (lambda data, model: ssna.append(FRAME, "log.csv"), "append takes the folder of a data set"),
    "load a frame": (lambda data, model: ssna.load_data(FRAME), "folder must be text or a path, not a pandas DataFr"),
    "encode a frame": (
        lambda data, model: ssna.encode(FRAME),
        "encode takes what prepare (or load_data) returns as da",
    ),
    "layers is a list": (
        lambda data, model: ssna.encode(data, layers=[1]),
        "layers must be text or a whole number, not",
    ),
    "train a frame": (
        lambda data, model: ssna.train(FRAME),
        "train takes what prepare (or load_data) returns as data,",
    ),
    "a path as cache": (
        lambda data, model: ssna.train(data, "cache"),
        "train takes what encode returns as cache, not th",
    ),
    "settings is a dict": (
        lambda data, model: ssna.train(data, settings={"dim": 8}),
        'settings is a list of "section.',
    ),
    "seed is text": (lambda data, model: ssna.train(data, seed="1"), "seed = '1': it must be a whole number"),
    "config is a list": (
        lambda data, model: ssna.train(data, config=["x"]),
        "config must be a path or text, not a list",
    ),
    "config is missing": (lambda data, model: ssna.train(data, config="x.toml"), "x.toml does not exist; check the pa"),
    "recipe is a number": (lambda data, model: ssna.train(data, recipe=1), "recipe = 1: it must be text"),
    "a union of a list": (lambda data, model: ssna.union([data]), "a union takes data sets by their names: union("),
    "k is a float": (lambda data, model: model.recommend([["i1"]], k=10.0), "k = 10.0: it must be a whole number"),
    "k is text": (lambda data, model: model.similar_items("i1", k="3"), "k = '3': it must be a whole number"),
    "exclude_seen is text": (lambda data, model: model.recommend([["i1"]], exclude_seen="no"), "it must be True or Fa"),
    "histories is a frame": (
        lambda data, model: model.recommend(FRAME),
        "a history is a list of item ids: recommend([[",
    ),
    "histories is None": (lambda data, model: model.recommend(None), "a history is a list of item ids: recommend([["),
    "a history is None": (lambda data, model: model.recommend([None]), "a history is a list of item ids: recommend([["),
    "a history is a number": (
        lambda data, model: model.recommend([1, 2]),
        "a history is a list of item ids: recommend(",
    ),
    "deny is None": (lambda data, model: model.recommend([["i1"]], deny=None), "allow and deny are lists of item ids"),
    "users of a frame": (
        lambda data, model: model.recommend_users(FRAME, ["u1"]),
        "recommend_users takes what prepare",
    ),
    "load a number": (lambda data, model: ssna.Recommender.load(3), "folder = 3: it must be a path or text"),
    "a run of a number": (lambda data, model: ssna.Run.load(3), "folder = 3: it must be a path or text"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_type_is_a_line_in_words(name, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame(square(), columns=["user", "item", "time", "title"]).to_csv("log.csv", index=False)
    call, message = CALLS[name]
    with pytest.raises(SsnaError) as error:
        call(*trained)
    assert message in str(error.value)
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


def test_numbers_of_numpy_are_numbers(trained):
    _, model = trained
    assert len(model.recommend([np.array(["i1", "i2"])], k=np.int64(3))[0].items) == 3
    assert len(model.recommend(pd.Series([["i1"], ["i2"]]), k=3)) == 2


@pytest.mark.parametrize("name", ssna.__all__)
def test_help_names_every_argument(name):
    public = getattr(ssna, name)
    functions = (
        [public]
        if inspect.isfunction(public)
        else [member for key, member in inspect.getmembers(public, inspect.isroutine) if not key.startswith("_")]
    )
    for function in functions:
        if inspect.isbuiltin(function) or inspect.ismethoddescriptor(function):
            continue
        parameters = inspect.signature(function).parameters.values()
        assert not [p for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)], function
