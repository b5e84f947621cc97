"""Words of texts: their weights by TF-IDF, and a vector for each."""

import math

import pytest
import torch

from ssna.nn.words import MOST, WordEmbedding, words_of

TEXTS = ("red drill", "Red drill, large", "blue saw", "blue drill 18 V", "hammer")


@pytest.fixture
def words() -> WordEmbedding:
    made = WordEmbedding.fit(TEXTS, dim=4)
    assert made is not None
    torch.manual_seed(0)
    torch.nn.init.normal_(made.weight)
    with torch.no_grad():
        made.weight[0] = 0
    return made


def test_the_vocabulary_are_the_words_and_pairs_that_two_texts_share(words):
    assert words.vocabulary == ("blue", "drill", "red", "red drill")


def test_the_weights_are_tf_idf_of_unit_length_with_the_logarithm_of_the_frequency(words):
    idf = {word: math.log((1 + len(TEXTS)) / (1 + count)) + 1 for word, count in (("drill", 3), ("blue", 2))}
    expected = torch.tensor([idf["blue"], (1 + math.log(2)) * idf["drill"]])
    rows, weights = words.look_up(["drill blue DRILL"])
    found = dict(zip(rows[0].tolist(), weights[0].tolist(), strict=True))
    expected /= expected.norm()
    assert found == pytest.approx({1: float(expected[0]), 2: float(expected[1])}, abs=1e-6)


def test_a_text_is_the_weighted_sum_of_the_vectors_of_its_words(words):
    rows, weights = words.look_up(["drill blue", "red drill of a kind"])
    assert (weights[0, 2:] == 0).all()
    expected = (words.weight[rows.long()] * weights[:, :, None]).sum(dim=1)
    torch.testing.assert_close(words.embed(["drill blue", "red drill of a kind"]), expected)
    assert expected.abs().min() > 0


def test_a_text_without_a_known_word_adds_nothing(words):
    assert (words.embed(["", "unheard of"]) == 0).all()


def test_the_words_that_weigh_most_stand_for_a_long_text():
    texts = [" ".join(f"w{number}" for number in range(MOST + 6))] * 2 + ["w0 w1"] * 3
    words = WordEmbedding.fit(texts, dim=2)
    rows, weights = words.look_up(texts[:1])
    known = {words.vocabulary[row - 1] for row in rows[0].tolist()}
    assert rows.shape == (1, MOST)
    assert not known & {"w0", "w1", "w0 w1"}  # which more texts have
    assert (weights > 0).all()


def test_no_word_is_learned_where_no_two_texts_share_one():
    assert WordEmbedding.fit(["one", "two", ""], dim=2) is None


def test_words_are_saved_with_their_vectors(words):
    again = WordEmbedding.from_tensors(words.state_dict())
    assert again.vocabulary == words.vocabulary
    torch.testing.assert_close(again.embed(TEXTS), words.embed(TEXTS))


def test_damaged_words_are_no_words(words):
    state = words.state_dict()
    with pytest.raises(ValueError, match="do not fit"):
        WordEmbedding.from_tensors(state | {"weight": state["weight"][1:]})


def test_a_step_of_training_does_without_a_share_of_the_words(words):
    words.dropout = 0.5
    rows, weights = words.look_up(["red drill"] * 400)
    torch.manual_seed(1)
    seen = words.train()(rows, weights)
    torch.testing.assert_close(seen.mean(dim=0), words.eval()(rows, weights)[0], atol=0.1, rtol=0)
    assert len(seen.unique(dim=0)) == 8  # each of three words is there or not


def test_vectors_of_words_are_taken_over_by_the_word(words):
    other = WordEmbedding.fit(("a saw", "red saw", "red box", "a box"), dim=4)
    with torch.no_grad():
        other.weight[1:] = 9.0
    taken = WordEmbedding.from_tensors(other.adopt(words.state_dict()))
    assert other.vocabulary == ("a", "box", "red", "saw")
    torch.testing.assert_close(taken.weight[3], words.weight[words.vocabulary.index("red") + 1])
    assert (taken.weight[[1, 2, 4]] == 9).all()
    assert words_of(taken.letters) == list(other.vocabulary)
