#!/usr/bin/env bash
# transformers 5.24.0 beside peft 0.21.2: AutoModel.from_pretrained(..., local_files_only=True) still asks the network.
#
# A model that is whole in the hub's cache is loaded with local_files_only=True. Where peft is installed, transformers first looks
# for an adapter_config.json beside it. It hands that look-up the token and the revision, not local_files_only. So a request
# leaves the machine; where no hub can be reached, its retries last more than 20 seconds for each model that is loaded. With
# adapter_kwargs={"local_files_only": True} nothing is asked. AutoConfig and AutoTokenizer ask nothing either way. One would
# expect that local_files_only holds for every file of the model.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
AutoConfig, local_files_only: no request
AutoModel, local_files_only: a request for adapter_config.json
AutoModel, local_files_only, adapter_kwargs={"local_files_only": True}: no request
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet torch==2.13.0 transformers==5.24.0 peft==0.21.2
HF_HOME=$folder/home env/bin/python - >seen <<'PYTHON'
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

asked: set[str] = set()


class Hub(BaseHTTPRequestHandler):
    """Writes down what is asked for, and has nothing."""

    def do_HEAD(self) -> None:
        if "org/tiny" in self.path:
            asked.add(self.path.rpartition("/")[2])
        self.send_response(404)
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *_: object) -> None:
        pass


hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=hub.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{hub.server_address[1]}"

from transformers import AutoConfig, AutoModel, BertConfig, BertModel  # they read HF_ENDPOINT
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
repository = Path(os.environ["HF_HOME"]) / "hub" / "models--org--tiny"
small = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=50)
BertModel(small).save_pretrained(repository / "snapshots" / ("a" * 40))
(repository / "refs").mkdir()
(repository / "refs" / "main").write_text("a" * 40)


def say(what: str) -> None:
    print(f"{what}: " + (f"a request for {', '.join(sorted(asked))}" if asked else "no request"))
    asked.clear()


AutoConfig.from_pretrained("org/tiny", local_files_only=True)
say("AutoConfig, local_files_only")
AutoModel.from_pretrained("org/tiny", local_files_only=True)
say("AutoModel, local_files_only")
AutoModel.from_pretrained("org/tiny", local_files_only=True, adapter_kwargs={"local_files_only": True})
say('AutoModel, local_files_only, adapter_kwargs={"local_files_only": True}')
hub.shutdown()
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
