"""The artefact: a scorer and the ids it speaks of; how it is saved, described and explained."""

from ssna.recommender.recommender import Recommendation, Recommender, ScoredItem

__all__ = ["Recommendation", "Recommender", "ScoredItem"]
