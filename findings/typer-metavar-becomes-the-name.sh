#!/usr/bin/env bash
# typer 0.27.0 to 0.27.3: an option whose metavar is its own name in capitals is known by the metavar alone.
#
# A parameter `cache` with metavar="CACHE" ought to be the option --cache, shown as `--cache CACHE`. It is --CACHE, and --cache is
# an unknown option. With any other metavar (`items`, metavar="FILE") the name is right. 0.26.8 and 0.28.0 do it right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
exit code 2, no such option: True
--items: items.csv
names in the help: --CACHE, --items
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet typer==0.27.3
env/bin/python - >seen <<'PYTHON'
import re
from typing import Annotated, Optional

import typer
from typer.testing import CliRunner

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    cache: Annotated[Optional[str], typer.Option(metavar="CACHE")] = None,
    items: Annotated[Optional[str], typer.Option(metavar="FILE")] = None,
) -> None:
    print(f"--cache: {cache}" if cache else f"--items: {items}")


run = CliRunner().invoke
refused = run(app, ["--cache", "folder"])
print(f"exit code {refused.exit_code}, no such option: {'No such option: --cache' in refused.output}")
print(run(app, ["--items", "items.csv"]).output, end="")
names = re.findall(r"--\w+", run(app, ["--help"]).output)
print(f"names in the help: {', '.join(name for name in names if name != '--help')}")
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
