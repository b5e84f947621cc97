#!/usr/bin/env bash
# safetensors 0.8.0: save_file writes files that nobody but their owner can read, whatever the umask.
#
# With the usual umask of 022 a file that open(), numpy.save or json.dump makes has mode 644. One of save_file has 600. A folder
# with a model and its configuration looks whole to another user of the machine, who can read all of it but the weights.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
open: 644
numpy.save: 644
safetensors.numpy.save_file: 600
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet safetensors==0.8.0 numpy==2.4.6
env/bin/python - >seen <<'PYTHON'
import os
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

os.umask(0o022)
Path("a.json").write_text("{}")
np.save("b.npy", np.zeros(2))
save_file({"tensor": np.zeros(2)}, "c.safetensors")
for name, file in (("open", "a.json"), ("numpy.save", "b.npy"), ("safetensors.numpy.save_file", "c.safetensors")):
    print(f"{name}: {Path(file).stat().st_mode & 0o777:o}")
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
