"""Scorers: histories in, a score for every item out. Everything that ranks, serves or is compared is one of these.

Item rows start at 1; row 0 is padding. :mod:`ssna.scoring.topk` ranks with any scorer in bounded memory.
"""

from ssna.scoring.counts import LinearScorer, NeighbourScorer, PopularityScorer, RepeatConsumptionScorer
from ssna.scoring.ensemble import SCORERS, Ensemble, Member, weighted_sum, name_of, restore, vector_member
from ssna.scoring.naming import below, describe_weights, under
from ssna.scoring.scorer import Config, ScoreFn, Scorer, Approximation
from ssna.scoring.vectors import SEQUENCES, VectorScorer

__all__ = [
    "SCORERS",
    "SEQUENCES",
    "Ensemble",
    "Config",
    "LinearScorer",
    "NeighbourScorer",
    "Member",
    "PopularityScorer",
    "ScoreFn",
    "RepeatConsumptionScorer",
    "Scorer",
    "Approximation",
    "VectorScorer",
    "below",
    "weighted_sum",
    "describe_weights",
    "name_of",
    "restore",
    "under",
    "vector_member",
]
