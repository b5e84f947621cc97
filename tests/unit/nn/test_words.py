"""Words of texts, weighted by TF-IDF."""

import math

import numpy as np
import pytest
import torch

from ssna.nn.words import Vocabulary

TEXTS = ("red drill", "Red drill, large", "blue saw", "")


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.fit(TEXTS)


def test_words_are_runs_of_letters_and_digits_and_pairs_of_neighbours():
    assert set(Vocabulary.fit(["Drill 18-V", "电钻 Küche"]).words) == {
        *("drill", "18", "v", "drill 18", "18 v", "电钻", "küche", "电钻 küche"),
    }


def test_weights_are_tf_idf_with_the_logarithm_of_the_frequency_and_unit_length(vocabulary):
    idf = {word: math.log((1 + len(TEXTS)) / (1 + count)) + 1 for word, count in (("drill", 2), ("saw", 1))}
    expected = np.array([(1 + math.log(2)) * idf["drill"], idf["saw"]])
    found = vocabulary.vectors(["drill: DRILL? saw"]).toarray()[0]
    columns = [vocabulary.words.index(word) for word in ("drill", "saw")]
    np.testing.assert_allclose(found[columns], expected / np.linalg.norm(expected), rtol=1e-6)
    assert np.count_nonzero(found) == 2


def test_a_text_without_a_known_word_is_zero(vocabulary):
    assert vocabulary.vectors(["", "unheard of"]).nnz == 0


def test_a_catalogue_without_words_has_none():
    empty = Vocabulary.fit(["", "!?"])
    assert (len(empty), empty.vectors(["a drill"]).shape) == (0, (1, 0))


def test_a_vocabulary_is_saved(vocabulary):
    again = Vocabulary.from_tensors(vocabulary.tensors())
    assert again.words == vocabulary.words
    assert (again.vectors(TEXTS) != vocabulary.vectors(TEXTS)).nnz == 0
    assert len(Vocabulary.from_tensors(Vocabulary.fit([""]).tensors())) == 0


def test_a_damaged_vocabulary_is_an_error(vocabulary):
    tensors = vocabulary.tensors()
    with pytest.raises(ValueError, match="weights"):
        Vocabulary.from_tensors(tensors | {"idf": torch.zeros(2)})
