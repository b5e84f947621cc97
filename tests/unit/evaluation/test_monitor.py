"""What the best epoch, a teacher and the weights of an ensemble are chosen by."""

import pytest

from ssna.core.errors import SettingsError
from ssna.evaluation.metrics import METRICS, monitored
from ssna.runs import resolve

SECTIONS = ("training", "distillation", "ensemble")


def test_the_defaults_of_the_monitors_are_those_of_the_published_runs():
    settings = resolve(method="ids")
    found = [getattr(settings, section).monitor for section in SECTIONS]
    assert found == ["R@10", "N@10", "N@10+N@50"]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", ["R@20", "N@10+", "recall", "N@10 + N@50", "n@10"])
def test_a_wrong_monitor_is_one_clear_line(section, value):
    with pytest.raises(SettingsError) as caught:
        resolve(method="ids", settings=[f"{section}.monitor={value}"])
    message = str(caught.value)
    assert "\n" not in message
    assert f"{section}.monitor = {value!r}: it must be a sum of R@10, N@10, R@50, N@50, such as N@10+N@50" in message


def test_a_monitor_is_the_sum_of_its_metrics():
    metrics = dict(zip(METRICS, (0.5, 0.25, 1.0, 0.125), strict=True))
    assert monitored(metrics, "R@10") == 0.5
    assert monitored(metrics, "N@10+N@50") == 0.375
