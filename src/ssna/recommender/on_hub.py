"""Recommenders on a model hub."""

from abc import ABC, abstractmethod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from ssna.core import hub
from ssna.core.files import write_file
from ssna.recommender import artifact
from ssna.recommender.artifact import Contents
from ssna.recommender.model_card import CARD, model_card


class OnHub(ABC):
    """What is written as a folder, pushed, and fetched again."""

    @property
    @abstractmethod
    def contents(self) -> Contents:
        """What is saved."""

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Into a folder that the caller moves into place."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path | str, model: Path | str | None = None) -> Self:
        """Read what was saved."""

    def push_to_hub(
        self, repo: str, *, private: bool = True, token: str | None = None, revision: str | None = None
    ) -> str:
        """Upload the artefact as ``repo`` (``owner/name``) of a model hub, with a short model card.

        Ids, texts and counts of all items go along; histories and users are not in an artefact.

        Args:
            private: where the repository is new.
            token: None takes the one that ``hf auth login`` keeps.
            revision: an existing branch; None is the main one.

        Returns:
            The commit's address.

        Raises:
            ArtifactError: the hub does not answer, or refuses.
        """
        with TemporaryDirectory() as folder:
            self.write(Path(folder))
            write_file(Path(folder) / CARD, model_card(self.contents, repo))
            return hub.upload(Path(folder), repo, private=private, token=token, revision=revision)

    @classmethod
    def from_pretrained(cls, name: Path | str, *, token: str | None = None, revision: str | None = None) -> Self:
        """Load a folder, or what :meth:`push_to_hub` pushed under this name.

        Raises:
            ArtifactError: there is no such model, or it is foreign or damaged.
        """
        if Path(name).exists():
            return cls.load(name)
        return cls.load(hub.download(str(name), (*artifact.FILES, *artifact.MAY_HAVE), token=token, revision=revision))
