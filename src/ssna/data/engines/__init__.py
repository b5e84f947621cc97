"""One module an engine: DuckDB in this process, and Spark, which scales past it."""
