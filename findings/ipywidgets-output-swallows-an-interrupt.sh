#!/usr/bin/env bash
# ipywidgets 8.1.9: an interrupt that comes while an Output widget is open does not end the cell.
#
# Output.__exit__ shows whatever is raised inside and returns True, for KeyboardInterrupt, too, where one would expect
# it to end the cell. rich 15.0.0 draws its bars of progress within such a widget, so that a cell that is interrupted
# while a bar is drawn goes on, although "KeyboardInterrupt" stands on the page.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
in an Output: goes on
in a bar of rich: goes on
elsewhere: KeyboardInterrupt
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet ipywidgets==8.1.9 ipykernel==7.4.0 rich==15.0.0 \
  jupyter_client==8.10.0
env/bin/python - >seen 2>/dev/null <<'PYTHON'
from jupyter_client.manager import start_new_kernel

INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
CELLS = {
    "in an Output": f"import ipywidgets\nwith ipywidgets.Output():\n    {INTERRUPT}",
    "in a bar of rich": f"""
import rich.console, rich.progress
drawing = rich.console.Console.print
def interrupted(*arguments, **others):
    rich.console.Console.print = drawing
    {INTERRUPT}
rich.console.Console.print = interrupted
with rich.progress.Progress():
    pass
""",
    "elsewhere": INTERRUPT,
}

manager, client = start_new_kernel()
for where, code in CELLS.items():
    reply = client.execute_interactive(code, output_hook=lambda message: None, timeout=60)["content"]
    print(f"{where}: {reply.get('ename', 'goes on')}")
client.stop_channels()
manager.shutdown_kernel(now=True)
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
