#!/usr/bin/env bash
# faiss-cpu 1.15.1: of equal inner products, exact search gives the first k rows in descending order.
#
# All twelve vectors are equal, and so are all scores. IndexFlatL2 lists the first k rows in ascending order, IndexFlatIP in
# descending order, though the two rank unit vectors alike otherwise. So the best item of a list by inner product is row
# k - 1: it changes with k. One would expect one order of equals, and a list of four that begins a list of eight.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
IndexFlatL2, k = 4: [0, 1, 2, 3]
IndexFlatL2, k = 8: [0, 1, 2, 3, 4, 5, 6, 7]
IndexFlatIP, k = 4: [3, 2, 1, 0]
IndexFlatIP, k = 8: [7, 6, 5, 4, 3, 2, 1, 0]
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet faiss-cpu==1.15.1 numpy==2.4.6
env/bin/python - >seen <<'PYTHON'
import faiss
import numpy as np

vectors = np.zeros((12, 4), dtype=np.float32)
vectors[:, 0] = 1.0
for kind in (faiss.IndexFlatL2, faiss.IndexFlatIP):
    index = kind(4)
    index.add(vectors)
    for k in (4, 8):
        print(f"{kind.__name__}, k = {k}: {index.search(vectors[:1], k)[1][0].tolist()}")
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
