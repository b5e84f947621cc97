#!/usr/bin/env bash
# Starlette 1.10.0: a parameter {id:path} of a route loses the line break at its end, so /items/a%0A is asked for as "a".
#
# Converters of paths match ".*", and a route's expression ends in "$": a dot matches no line break, and "$" matches before
# the last one. The route answers for an id that was not asked for, instead of 404 or the whole id; in the middle of a
# path a line break gives 404. Code that compares the parameter with its keys answers for another key.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
/items/a: 200 'a'
/items/a%0A: 200 'a'
/items/%0A: 200 ''
/items/a%0Ab: 404
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet starlette==1.10.0 httpx==0.28.1
env/bin/python - >seen <<'PYTHON'
import asyncio

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def item(request):
    return PlainTextResponse(repr(request.path_params["id"]))


async def main():
    app = Starlette(routes=[Route("/items/{id:path}", item)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        for path in ("/items/a", "/items/a%0A", "/items/%0A", "/items/a%0Ab"):
            answer = await client.get(path)
            print(f"{path}: {answer.status_code}" + (f" {answer.text}" if answer.status_code == 200 else ""))


asyncio.run(main())
PYTHON
diff expected seen
