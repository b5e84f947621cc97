"""A folder for a model hub: the artefact and its card."""

from pathlib import Path

from ssna.core import hub
from ssna.core.files import new_folder, write_file
from ssna.export.source import Source
from ssna.recommender import artifact
from ssna.recommender.model_card import CARD, model_card


def to_hub(source: Source, out: Path) -> list[str]:
    """The artefact's files and a model card with the figures of the run; pushed, if a repository is named."""
    with new_folder(out, marker=artifact.MANIFEST) as folder:
        source.recommender.write(folder)
        write_file(folder / CARD, model_card(source.recommender.contents, source.repo or out.name, source.record))
    if source.repo is None:
        return [f"{', '.join((*artifact.FILES, CARD))}; no repository was named, so nothing was pushed"]
    return [f"pushed: {hub.upload(out, source.repo, private=source.private, token=None, revision=None)}"]
