#!/usr/bin/env bash
# compose-spec 0.2.1: a service with "cpus: 2" is refused, "cpus: 2.0" and "cpus: '2'" are taken.
#
# The Compose specification has a number or a string there, and 2 is a number. A file that other tools run is
# told to be wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
cpus: 2 refused
cpus: 2.0 taken
cpus: '2' taken
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet compose-spec==0.2.1
env/bin/python - >seen <<'PYTHON'
from compose_spec import PyCompose

for cpus in ("2", "2.0", "'2'"):
    try:
        PyCompose.from_yaml(f"services: {{web: {{image: alpine, cpus: {cpus}}}}}")
        said = "taken"
    except Exception:
        said = "refused"
    print(f"cpus: {cpus} {said}")
PYTHON
diff expected seen
