"""What is a table, too: as Arrow, and for pandas and Polars where they are installed."""

from abc import abstractmethod
from typing import TYPE_CHECKING

import pyarrow as pa

from ssna.core.errors import SsnaError

if TYPE_CHECKING:
    import pandas
    import polars


class Tabular:
    """Says itself as an Arrow table; the rest follows."""

    __slots__ = ()

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """As an Arrow table."""

    def to_pandas(self) -> "pandas.DataFrame":
        """:meth:`to_arrow` for pandas. Raises :class:`SsnaError` where it is not installed."""
        try:
            return self.to_arrow().to_pandas()
        except ImportError:
            raise _not_installed("pandas") from None

    def to_polars(self) -> "polars.DataFrame":
        """:meth:`to_arrow` for Polars. Raises :class:`SsnaError` where it is not installed."""
        try:
            import polars
        except ImportError:
            raise _not_installed("polars") from None
        return polars.DataFrame(self.to_arrow())


def _not_installed(library: str) -> SsnaError:
    return SsnaError(f"{library} is not installed; install it (pip install {library}), or take to_arrow()")
