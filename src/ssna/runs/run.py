"""Encode and train, as they are called from Python."""

from collections.abc import Callable, Iterable
from pathlib import Path

from ssna.compute import distributed
from ssna.core.arguments import checked
from ssna.core.errors import SettingsError
from ssna.data.dataset import Dataset
from ssna.runs.encoding import encode_data, say_warnings
from ssna.runs.execute import execute
from ssna.runs.finished import Run
from ssna.runs.fitting import run_device
from ssna.runs.recipes import resolve
from ssna.text import LayerCache
from ssna.text.encoding import Dtype, Layers, Pooling
from ssna.text.options import ReadOptions
from ssna.training import Epoch


@checked
def encode(
    data: Dataset,
    model: str | None = None,
    out: Path | str | None = None,
    *,
    vectors: object = None,
    layers: Layers = "all",
    pooling: Pooling | None = None,
    max_tokens: int | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
    adapter_base: str | None = None,
    quiet: bool = False,
) -> LayerCache:
    """States of every item text of ``data``, computed once; what a cache folder already holds is not read again.

    Args:
        data: what ``prepare`` or ``load_data`` returns.
        model: ``minilm``, a folder that ``save_pretrained`` wrote, or a hub id; an encoder or a decoder. None is
            ``minilm``, and with ``vectors`` no language model at all.
        out: the cache folder; None takes one in the user's cache directory that all data sets share.
        vectors: vectors from elsewhere, alone or beside the model's layers: a file (Parquet, npy, safetensors), a frame
            with the columns ``item`` and ``vector``, ids and array as a pair, arrays by ids, or the folder or hub id of
            a static model. Several sources stand side by side: a list of files, or a dict of names. An item has a
            vector ``(d,)`` or, of several layers, ``(layers, d)``, the lowest first.
        layers: ``"all"``, or how many of the top layers to keep.
        pooling: ``cls``, ``mean`` or ``last``; None goes on as an existing cache began, and begins with what a folder
            of sentence-transformers says, else with the mean.
        max_tokens: where longer texts are cut; None likewise, else the model's own limit, at most 512.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: ``auto`` goes on as an existing cache began, and begins with 16 bits where they are faster;
            ``int8``, with less accuracy, needs the extra ``int8``.
        adapter_base: of a model folder that holds an adapter of peft alone: its base model, named as ``model`` is. None
            takes the one that the folder names.
        quiet: no progress on standard error.

    Raises:
        EncoderError: the model cannot be found, loaded or run so.
        CacheError: the folder is no cache, was made otherwise, is being written to, or the disk is full; or vectors do
            not fit.
    """
    _require(data, Dataset, "encode takes what prepare (or load_data) returns as data")
    options = ReadOptions(
        layers=layers, pooling=pooling, max_tokens=max_tokens, device=device, dtype=dtype, adapter_base=adapter_base
    )
    cache, report = encode_data(data, model, out, options, vectors=vectors, quiet=quiet)
    if not quiet and distributed.is_main():
        say_warnings(report, cache)
    return cache


@checked
def train(
    data: Dataset,
    cache: LayerCache | None = None,
    recipe: str | None = None,
    *,
    method: str | None = None,
    config: Path | str | None = None,
    settings: Iterable[str] = (),
    seed: int | None = None,
    out: Path | str | None = None,
    name: str | None = None,
    quiet: bool = False,
    resume: bool = False,
    profile: bool = False,
    init_from: Path | str | None = None,
    refit: bool = False,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> Run:
    """Train (or fit) a method on ``data``, evaluate it on both splits, and keep the run in ``out`` if given.

    Args:
        data: several data sets are learned from together as their :func:`ssna.union`.
        cache: states of the item texts; methods that read no text need none.
        recipe, method, config, settings, seed: see :func:`ssna.runs.resolve`; ``settings`` are assignments
            such as ``"training.epochs=5"``.
        out: run folder, replaced if it holds a run already.
        name: what tables call the data set.
        quiet: say nothing on standard error.
        resume: continue a run of the same settings into ``out`` that was cut off, if there is one; if it was finished
            instead, return it (all processes then read ``out``).
        profile: say on standard error, after the first epoch, where its time went.
        init_from: the folder of a run whose weights training starts from, instead of random ones: of the same method
            and width, on these or other data. Items are told by their ids; new ones begin as in any run. With
            ``training.epochs=0`` the run is evaluated on ``data`` as it is.
        refit: once epochs and weights are chosen on validation, train the same again on all events, from the same seed,
            and keep that model; the figures are those of the model before. With data of ``split="none"`` and the
            ``settings.toml`` of a finished run as ``config``, this second half is all that is done.
        on_epoch: called with every epoch when it is validated, as the record has them: ``number``, ``loss``,
            ``seconds``, ``valid`` (metric -> value), ... An exception ends the run.

    Started by torchrun in several processes, all of them must call it: they share every step and every validation.
    The first one writes and reports; the run is returned in all.

    Raises:
        SsnaError: settings, cache and data do not fit together, or training diverges.
    """
    _require(data, Dataset, "train takes what prepare (or load_data) returns as data")
    if cache is not None:
        _require(cache, LayerCache, "train takes what encode returns as cache")
    if on_epoch is not None and not callable(on_epoch):
        raise SettingsError("on_epoch is a function that takes an epoch: on_epoch=lambda epoch: print(epoch.valid)")
    resolved = resolve(recipe, method, None if config is None else Path(config), settings, seed)
    with distributed.process_group(run_device(resolved)):
        return execute(
            data,
            cache,
            resolved,
            out,
            name=name,
            quiet=quiet,
            resume=resume,
            profile=profile,
            init_from=init_from,
            refit=refit,
            on_epoch=on_epoch,
            chosen_in=None if config is None else Path(config).parent,
        )


def _require(given: object, kind: type, wanted: str) -> None:
    if not isinstance(given, kind):
        what = f"the path {str(given)!r}" if isinstance(given, str | Path) else f"a {type(given).__name__}"
        raise SettingsError(f"{wanted}, not {what}")
