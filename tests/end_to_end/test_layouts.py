"""Every layout of ``tests/layouts.toml`` is read right at the first try, or refused with the option to add."""

import re
import shlex

import pytest
from command_line import ssna
from data_files import histories, texts, times

from layouts import layouts
from ssna.data import load


def known():
    """One layout of each group, and what holds no data, is ``slow``; all others are ``long``."""
    groups = set()
    for layout in layouts():
        marks = [pytest.mark.xfail(reason=layout.fails, strict=True)] if layout.fails else []
        marks.append(pytest.mark.long if layout.command and layout.group in groups else pytest.mark.slow)
        if layout.command:
            groups.add(layout.group)
        yield pytest.param(layout, id=layout.name, marks=marks)


@pytest.mark.parametrize("layout", known())
def test_a_layout_is_read_right_or_refused_with_the_option_to_add(layout, tmp_path, monkeypatch, capfd):
    layout.written_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    command, said = layout.first, ""
    if layout.refused:
        assert ssna("prepare", *shlex.split(layout.first), "-o", "refused") == 1
        said = capfd.readouterr().err.strip()
        assert re.search(layout.refused, said), said
        assert len(said.splitlines()) <= 2
        assert not (tmp_path / "refused").exists()
        command = layout.best
    if command:
        assert ssna("prepare", *shlex.split(command), "-o", "data") == 0
        data = load("data")
        assert histories(data) == layout.histories()
        assert texts(data) == layout.texts()
        assert layout.times() in (None, times(data))
        said = capfd.readouterr().err
    for culprit in layout.says:
        assert re.search(culprit, said), said
