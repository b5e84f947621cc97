"""Users for whom one method finds the next item and another does not."""

import numpy as np
import pytest
from command_line import ssna

from ssna.core.errors import ArtifactError
from ssna.data import load, save
from ssna.report import as_text, examples, find, page, result_groups
from ssna.runs import train
from ssna.runs.record import read_evaluation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory, random_data):
    """Data, and runs of three methods."""
    folder = tmp_path_factory.mktemp("examples")
    texts = [f"<b>text</b> {row} " + "long " * 40 * (row % 2) for row in range(1, 81)]
    made = random_data(seed=3, users=500, items=80)
    data = type(made)(made.users, made.items, ("", *texts), made.histories, made.max_history)
    save(data, folder / "data")
    data = load(folder / "data")
    for method in ("popularity", "item-knn", "ease"):
        train(data, method=method, out=folder / "runs" / method, quiet=True)
    return folder


@pytest.fixture(scope="module")
def data(folder):
    return load(folder / "data")


@pytest.fixture(scope="module")
def found(folder):
    return result_groups(find([folder / "runs"]))


def test_counts_are_those_of_the_ranks_and_no_user_is_counted_for_both_methods(folder, data, found):
    (one,) = examples(found, [data], of="item-knn", against="popularity")
    mine, other = (read_evaluation(folder / "runs" / name, "test") for name in ("item-knn", "popularity"))
    ranks = [evaluation.ranks["exclude_seen"] for evaluation in (mine, other)]
    assert one.counts == (
        int(((ranks[0] <= 10) & (ranks[1] > 50)).sum()),
        int(((ranks[1] <= 10) & (ranks[0] > 50)).sum()),
    )
    assert min(one.counts) > 0
    for side, shown in enumerate(one.shown):
        assert len(shown) == min(4, one.counts[side])
        for example in shown:
            assert example.rankings[side].rank <= 10 < 50 < example.rankings[1 - side].rank


def test_an_example_says_what_the_user_did_and_what_came_next(data, found):
    (one,) = examples(found, [data], of="item-knn", against="popularity")
    texts = [" ".join(text.split()) for text in data.texts]
    counts = np.bincount(data.train.values, minlength=len(data.items) + 1)
    users = []
    for history, target in zip(data.test.seen, data.test.targets.tolist(), strict=True):
        latest = [texts[row] for row in history[-5:].tolist()]
        users.append((latest, max(len(history) - 5, 0), texts[target], counts[target]))
    for example in (*one.shown[0], *one.shown[1]):
        assert any(
            [text.rstrip("…") for text in example.history] == [text[: len(shown.rstrip("…"))] for text, shown in
                                                              zip(latest, example.history, strict=True)]
            and target.startswith(example.target.rstrip("…"))
            and (earlier, events) == (example.earlier, example.events)
            for latest, earlier, target, events in users
            if len(latest) == len(example.history)
        )  # fmt: skip
        assert all(len(text) <= 80 for text in example.history)


def test_the_other_method_is_the_best_on_validation_unless_named(data, found):
    (one,) = examples(found, [data], of="popularity")
    others = {entry.name: entry.record.valid["exclude_seen"]["R@10"] for entry in found[0].entries}
    del others["popularity"]
    assert one.methods == ("popularity", max(others, key=others.get))


def test_data_without_runs_and_methods_without_runs_are_named(random_data, data, found):
    with pytest.raises(ArtifactError, match=rf"is of the data of --data.*{data.fingerprint}: "):
        examples(found, [random_data(seed=9)], of="item-knn")
    with pytest.raises(ArtifactError, match=r"ease, item-knn, popularity"):
        examples(found, [data], of="item-knn", against="magic")


def test_the_page_has_them_as_text_whatever_they_hold(data, found):
    shown = examples(found, [data], of="item-knn", against="popularity")
    html = page(found, [], shown=shown)
    assert 'href="#examples-0"' in html
    assert 'id="examples-0"' in html
    assert "<b>text</b>" not in html
    assert html.count("&lt;b&gt;text&lt;/b&gt;") >= len(shown[0].shown[0])
    assert "examples" not in page(found, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--table", "examples"], "give the data sets of the runs"),
        (["--data", "DATA"], "belongs to --table examples"),
        (["--table", "examples", "--data", "DATA", "--format", "csv"], "examples are text"),
        (["--format", "html", "--against", "ease"], "needs the data sets"),
        (["--table", "examples", "--data", "DATA"], "none of the runs"),  # no run of ssna, and no --of
    ],
)
def test_options_that_do_not_go_together_are_refused(folder, capsys, words, message):
    words = [str(folder / "data") if word == "DATA" else word for word in words]
    assert ssna("compare", folder / "runs", *words) != 0
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_the_command_prints_them_and_puts_them_into_the_page(folder, data, found, capsys):
    words = [
        "compare",
        str(folder / "runs"),
        "--of",
        "item-knn",
        "--against",
        "popularity",
        "--data",
        str(folder / "data"),
    ]
    assert ssna(*words, "--table", "examples") == 0
    assert capsys.readouterr().out == as_text(examples(found, [data], of="item-knn", against="popularity"))
    assert ssna(*words, "--format", "html", "-o", folder / "page.html") == 0
    assert "Where it wins and loses" in (folder / "page.html").read_text(encoding="utf-8")
