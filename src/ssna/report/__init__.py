"""Tables over finished runs; reads run folders only."""

from ssna.report.tables import accuracy, as_csv, as_markdown, as_text

__all__ = ["accuracy", "as_csv", "as_markdown", "as_text"]
