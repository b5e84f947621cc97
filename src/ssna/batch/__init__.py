"""Recommendations for millions of histories: Parquet in, Parquet out, in bounded memory, and resumed after a kill."""

from ssna.batch.job import BatchReport
from ssna.batch.run import recommend_all

__all__ = ["BatchReport", "recommend_all"]
