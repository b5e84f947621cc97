"""Scorers: histories in, a score for every item out. Everything that ranks, serves or is compared is one of these.

Item rows start at 1; row 0 is padding. :mod:`ssna.scoring.topk` ranks with any scorer in bounded memory.
"""

from ssna.scoring.counts import LinearScorer, NeighbourScorer, PopularityScorer, RepeatScorer
from ssna.scoring.ensemble import SCORERS, Blend, Part, blended, name_of, restore, vector_part
from ssna.scoring.naming import below, joined_in_words, under
from ssna.scoring.scorer import Config, Reading, Scorer, Sketch
from ssna.scoring.vectors import SEQUENCES, VectorScorer

__all__ = [
    "SCORERS",
    "SEQUENCES",
    "Blend",
    "Config",
    "LinearScorer",
    "NeighbourScorer",
    "Part",
    "PopularityScorer",
    "Reading",
    "RepeatScorer",
    "Scorer",
    "Sketch",
    "VectorScorer",
    "below",
    "blended",
    "joined_in_words",
    "name_of",
    "restore",
    "under",
    "vector_part",
]
