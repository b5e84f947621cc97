"""Items that a data set keeps for their texts alone: new to the model that was trained on it."""

import sys
from dataclasses import replace

from ssna.core.errors import ArtifactError, CacheError, EncoderError
from ssna.data.attributes import Attributes
from ssna.data.dataset import Dataset
from ssna.recommender import Recommender
from ssna.recommender.admission import new_in_cache, says_nothing
from ssna.text import LayerCache


def with_new_items(
    recommender: Recommender, data: Dataset, quiet: bool, cache: LayerCache | None = None
) -> Recommender:
    """``recommender`` with the new items of ``data`` behind its own; as it is where it cannot admit them.

    Args:
        cache: where vectors of theirs are, if the model was trained with some.
        quiet: whether nothing is said of either on standard error.
    """
    if not data.new_items:
        return recommender
    try:
        if cache is not None and cache.encoding.given and recommender.scorer.layers:
            new = new_in_cache(data.new_items, cache, recommender.scorer.layers)
        else:
            new = recommender.read(data.new_items)
        recommender, silent = recommender.admit_read(new), new.silent_items
        if data.attributes is not None:
            of_all = Attributes.of(data.attributes, recommender.items.external)
            recommender = replace(recommender, attributes=of_all)
    except (ArtifactError, EncoderError, CacheError) as cause:
        said = f"warning: the {len(data.new_items):,} new items of the data cannot be recommended: {cause}"
    else:
        by = "texts" if cache is None or cache.encoding.reads_text else "vectors"
        said = f"{len(data.new_items):,} new items can be recommended, by their {by}"
        if silent:
            said += f"\nwarning: {says_nothing(silent, data.new_items)}"
    if not quiet:
        print(said, file=sys.stderr, flush=True)
    return recommender
