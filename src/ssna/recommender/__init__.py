"""The artefact: a scorer and the ids it speaks of; how it is saved, described and explained."""

from ssna.recommender.recommendations import Recommendation, Recommendations, ScoredItem
from ssna.recommender.recommender import Recommender

__all__ = ["Recommendation", "Recommendations", "Recommender", "ScoredItem"]
