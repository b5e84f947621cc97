"""Bounds that both the command line and the service know, without loading what they bound."""

MOST_EXPOSURE = 100  # of new items, in deviations of scores: far more than any two scores differ by
