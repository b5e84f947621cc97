"""The whole way in a real Jupyter kernel, with ipywidgets and without, and after a cell was interrupted."""

from dataclasses import dataclass, field
from threading import Event, Thread

import pytest

import shop

pytestmark = pytest.mark.long
manager = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")

PREPARE = (
    'data = ssna.prepare("purchases.csv", items="products.csv", user_col="customer", item_col="sku", '
    'time_col="date", text_cols=["title", "brand"])'
)
SMALL = '["dim=8", "sequence.ffn_dim=8", "method.num_experts=2", "ensemble.members=[]", "training.epochs={epochs}"]'
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None"
"""Every import of it fails from here on, as where it is not installed."""

MOST_INTERRUPTS = 10


@dataclass
class Cell:
    """What a cell wrote (``text``), drew (``shown``), gave (``result``) and raised (the ``error``'s name)."""

    text: str = ""
    shown: list[dict] = field(default_factory=list)
    result: str = ""
    error: str | None = None
    message: str = ""


class Kernel:
    def __init__(self, folder):
        self.manager, self.client = manager.start_new_kernel(cwd=str(folder))

    def run(self, code, interrupt_at=None):
        """A cell; once ``interrupt_at`` stands in what it wrote, it is interrupted until it ends, every ten seconds.

        Once is enough but for an interrupt that comes while Ibis or ipywidgets let go of an object (``__del__``):
        Python prints such a one ("Exception ignored in") and goes on, whoever asked.
        """
        cell, ended, interrupter = Cell(), Event(), None

        def interrupt():
            for _ in range(MOST_INTERRUPTS):
                self.manager.interrupt_kernel()
                if ended.wait(10):
                    return

        def hear(message):
            nonlocal interrupter
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                cell.text += content["text"]
                if interrupt_at is not None and interrupter is None and interrupt_at in cell.text:
                    interrupter = Thread(target=interrupt)
                    interrupter.start()
            elif kind == "display_data":
                cell.shown.append(content["data"])
            elif kind == "execute_result":
                cell.result = content["data"]["text/plain"]

        try:
            reply = self.client.execute_interactive(code, output_hook=hear, timeout=120)["content"]
        finally:
            ended.set()
            if interrupter is not None:
                interrupter.join()
        if reply["status"] == "error":  # an error that is only shown, as a widget does, ends no cell
            cell.error, cell.message = reply["ename"], reply["evalue"]
        return cell

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(tmp_path):
    shop.write(tmp_path, customers=300, products=160)
    running = Kernel(tmp_path)
    yield running
    running.stop()


@pytest.mark.parametrize("first", ["pass", WITHOUT_WIDGETS], ids=["with ipywidgets", "without ipywidgets"])
def test_logs_become_recommendations_in_a_notebook(kernel, language_model, first):
    cells = [
        first,
        f"import ssna; {PREPARE}; data",
        f"cache = ssna.encode(data, {language_model!r}, dtype='fp32', device='cpu')",
        f"run = ssna.train(data, cache, method='ssna', settings={SMALL.format(epochs=1)})",
        "[item.item for item in run.recommender.recommend([['sku-1', 'sku-2']], k=10)[0].items]",
    ]
    ran = [kernel.run(code) for code in cells]
    assert [(cell.error, cell.message) for cell in ran] == [(None, "")] * len(cells)
    assert "<Dataset of 299 users" in ran[1].result
    assert ran[-1].result.count("sku-") == 10
    assert not any("ipywidgets" in str(cell.shown) for cell in ran)
    assert not any("IProgress" in cell.text for cell in ran)


def test_bars_are_drawn_where_there_are_widgets_and_nowhere_else(kernel):
    assert any(
        "application/vnd.jupyter.widget-view+json" in shown for shown in kernel.run(f"import ssna; {PREPARE}").shown
    )
    assert kernel.run(f"{WITHOUT_WIDGETS}; {PREPARE}").shown == []


DRAWING_IS_INTERRUPTED = """
from rich.console import Console
from ssna.core.progress import progress
drawing = Console.print
def interrupted(*_, **__):
    Console.print = drawing
    raise KeyboardInterrupt
Console.print = interrupted
with progress("work", total=1):
    pass
"""


def test_an_interrupt_as_a_bar_is_drawn_ends_the_cell_and_leaves_its_output_as_it_was(kernel):
    assert kernel.run(DRAWING_IS_INTERRUPTED).error == "KeyboardInterrupt"
    assert kernel.run("import sys; [type(stream).__name__ for stream in (sys.stdout, sys.stderr)]").result == (
        "['OutStream', 'OutStream']"
    )


def test_a_cell_that_was_interrupted_can_be_run_again(kernel):
    kernel.run("import ssna")
    whole = kernel.run(f"{PREPARE}; data.fingerprint").result
    stopped = kernel.run(f"print('begun', flush=True)\nwhile True: {PREPARE}", "begun")
    assert stopped.error in ("KeyboardInterrupt", "Interrupted")
    assert kernel.run(f"{PREPARE}; data.fingerprint").result == whole


def test_training_that_was_interrupted_goes_on_in_the_next_cell(kernel):
    kernel.run(f"{WITHOUT_WIDGETS}; import ssna; {PREPARE}")
    train = "run = ssna.train(data, method='ids', settings=['dim=8', 'training.epochs=3'], out='run', resume=True)"
    slowly = "import time; from ssna.runs import epoch_log; epoch_log._Epochs.step = lambda self, step: time.sleep(0.2)"
    stopped = kernel.run(
        f"before = __import__('ssna.runs.epoch_log').runs.epoch_log._Epochs.step; {slowly}; {train}", "epoch   1"
    )
    assert (stopped.error, "until epoch" in stopped.message) == ("Interrupted", True)
    assert "call train again with resume=True" in stopped.message
    assert kernel.run(f"epoch_log._Epochs.step = before; {train}; len(run.record.epochs)").result == "3"
