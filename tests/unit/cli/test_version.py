"""``ssna --version``: the one version, without loading what only a verb needs; and systems that are no POSIX."""

import re
import subprocess
import sys
from importlib.metadata import version

import pytest

import ssna
from ssna.cli import main


def test_version_is_printed_without_importing_torch() -> None:
    code = "import sys; from ssna.cli import main; sys.argv[1:] = ['--version']\n"
    code += "try: main()\nfinally: print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"ssna {ssna.__version__}\nFalse\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+", ssna.__version__)


def test_installed_metadata_has_the_version_of_the_package() -> None:
    assert version("ssna") == ssna.__version__


def test_a_system_that_is_no_posix_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit, match="1"):
        main()
    assert (
        capsys.readouterr().err
        == "ssna: this is no POSIX system; use Linux, macOS or the Windows Subsystem for Linux\n"
    )
