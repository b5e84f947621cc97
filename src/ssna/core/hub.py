"""Model folders on a model hub: one commit up, one snapshot down, and every refusal in words.

``ModelHubMixin`` sets attributes on instances, which a frozen :class:`ssna.recommender.Recommender` does not allow; so
this calls the hub's client directly.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ssna.core.errors import ArtifactError


def upload(folder: Path, repo: str, *, private: bool, token: str | None, revision: str | None) -> str:
    """Make ``repo`` (``owner/name``) if it is not there, and put all files of ``folder`` into it in one commit.

    Returns:
        The commit's address.

    Raises:
        ArtifactError: the hub does not answer, or refuses.
    """
    from huggingface_hub import HfApi

    with _refusals(f"{repo} cannot be pushed; check the name, and log in with `hf auth login`"):
        hub = HfApi(token=token)
        repo = hub.create_repo(repo, private=private, exist_ok=True).repo_id
        done = hub.upload_folder(
            repo_id=repo, folder_path=folder, commit_message="A recommender made by ssna", revision=revision
        )
        return str(done.commit_url)


def download(repo: str, files: Sequence[str], *, token: str | None, revision: str | None) -> Path:
    """A local folder with ``files`` of ``repo``; what was fetched before is not fetched again.

    Raises:
        ArtifactError: it is neither on the hub nor here.
    """
    from huggingface_hub import snapshot_download

    with _refusals(f"{repo} is no folder, and cannot be fetched; check the name, `hf auth login` if it is private"):
        return Path(snapshot_download(repo, revision=revision, token=token, allow_patterns=list(files)))


@contextmanager
def _refusals(message: str) -> Iterator[None]:
    try:
        yield
    except Exception as cause:  # requests' or httpx's, or the hub's own: offline, no such name, ...
        reason = str(cause).strip().partition("\n")[0]
        raise ArtifactError(f"{message} ({type(cause).__name__}: {reason[:200]})") from None
