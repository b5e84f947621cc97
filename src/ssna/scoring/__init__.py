"""Scorers: histories in, a score for every item out. Everything that ranks, serves or is compared is one of these.

Item rows start at 1; row 0 is padding. :mod:`ssna.scoring.topk` ranks with any scorer in bounded memory.
"""

from ssna.scoring.counts import NeighbourScorer, PopularityScorer, RepeatConsumptionScorer
from ssna.scoring.ensemble import SCORERS, Ensemble, Member, name_of, restore, vector_member
from ssna.scoring.frequency import FrequencyWeights
from ssna.scoring.linear import LinearScorer
from ssna.scoring.naming import below, describe_weights, under
from ssna.scoring.scorer import Approximation, Config, ScoreFn, Scorer
from ssna.scoring.text_weights import Texts, TextWeights, covariances
from ssna.scoring.vectors import SEQUENCES, VectorScorer

__all__ = [
    "SCORERS",
    "SEQUENCES",
    "Approximation",
    "Config",
    "Ensemble",
    "FrequencyWeights",
    "LinearScorer",
    "Member",
    "NeighbourScorer",
    "PopularityScorer",
    "RepeatConsumptionScorer",
    "ScoreFn",
    "Scorer",
    "TextWeights",
    "Texts",
    "VectorScorer",
    "below",
    "covariances",
    "describe_weights",
    "name_of",
    "restore",
    "under",
    "vector_member",
]
