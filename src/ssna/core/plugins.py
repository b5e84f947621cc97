"""Parts from other installed packages, by entry point."""

from collections import UserDict
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from ssna.core.errors import SettingsError

T = TypeVar("T")


class Registry(UserDict[str, T], Generic[T]):
    """Name -> part: those of ssna, and those of packages that declare an entry point in ``group``.

    The names of the latter are there at once. A package is imported when its part is asked for.

    Args:
        fits: whether what a package gives is such a part.
    """

    def __init__(self, group: str, own: Mapping[str, T], fits: Callable[[Any], bool]) -> None:
        super().__init__(own)
        self.group, self._fits = group, fits
        self._outside: dict[str, EntryPoint] = {}
        for entry in entry_points(group=group):
            if entry.name not in own:  # nobody takes the place of a part of ssna
                self._outside[entry.name] = entry
                self.data[entry.name] = None  # type: ignore[assignment]  # until it is asked for

    def __getitem__(self, name: str) -> T:
        """Raises :class:`SettingsError` where the package that has it cannot be imported, or gives something else."""
        if name in self._outside:
            self.data[name] = self._load(self._outside[name])
            del self._outside[name]
        return super().__getitem__(name)

    def _load(self, entry: EntryPoint) -> T:
        package = entry.dist.name if entry.dist is not None else entry.module
        whose = f"{entry.name!r} ({self.group} of the package {package})"
        try:
            found = entry.load()
        except Exception as cause:  # whatever goes wrong there is not ours
            reason = " ".join(f"{type(cause).__name__}: {cause}".split())[:200]
            raise SettingsError(f"{whose} cannot be loaded ({reason}); mend or remove that package") from None
        if not self._fits(found):
            raise SettingsError(f"{whose} is no such part but {found!r:.100}; mend or remove that package")
        part: T = found
        return part
