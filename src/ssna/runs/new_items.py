"""Items that a data set keeps for their texts alone: new to the model that was trained on it."""

import sys

from ssna.core.errors import ArtifactError, EncoderError
from ssna.data.dataset import Dataset
from ssna.recommender import Recommender
from ssna.recommender.admission import says_nothing


def with_new_items(recommender: Recommender, data: Dataset, quiet: bool) -> Recommender:
    """``recommender`` with the new items of ``data`` behind its own; as it is where it cannot admit them.

    Args:
        quiet: whether nothing is said of either on standard error.
    """
    if not data.new_items:
        return recommender
    try:
        recommender, silent = recommender.admit(data.new_items)
    except (ArtifactError, EncoderError) as cause:
        said = f"warning: the {len(data.new_items):,} new items of the data cannot be recommended: {cause}"
    else:
        said = f"{len(data.new_items):,} new items can be recommended, by their texts"
        if silent:
            said += f"\nwarning: {says_nothing(silent, data.new_items)}"
    if not quiet:
        print(said, file=sys.stderr, flush=True)
    return recommender
