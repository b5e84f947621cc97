"""Everything that ssna raises on purpose.

    SsnaError                 one or two lines: the culprit, what is wrong, and the remedy
    ├── SettingsError         an unknown key, a value out of range, a recipe that does not exist
    ├── DataError             logs, item files and data folders
    ├── EncoderError          a language model that cannot be found, loaded or run
    ├── CacheError            a layer cache that is damaged, or belongs to other texts
    ├── TrainingError         a run that cannot go on (a loss that is not finite, no targets to learn from)
    ├── ProcessError          another process of the same run (torchrun) ended, or does not answer
    └── ArtifactError         a run or model folder that is missing, foreign or damaged

The command line prints the message and exits with 1; a traceback is always a defect of ssna.
"""


class SsnaError(Exception):
    """The base of the tree above. ``str(error)`` is meant for people."""


class SettingsError(SsnaError):
    """A setting is unknown, or its value is not allowed."""


class DataError(SsnaError):
    """Logs, item texts or a data folder cannot be used."""


class EncoderError(SsnaError):
    """A language model cannot be found, loaded or run."""


class CacheError(SsnaError):
    """A layer cache is damaged, or does not hold the texts asked for."""


class TrainingError(SsnaError):
    """Training cannot start or go on."""


class ProcessError(SsnaError):
    """Another process of the same run ended, or does not answer."""


class ArtifactError(SsnaError):
    """A run folder or a saved model is missing, foreign or damaged."""
