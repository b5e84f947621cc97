"""Tokens a second: `ssna encode`, which stores all layers, against sentence-transformers, which gives the last.

python benchmarks/encode.py DATA -o benchmarks/results/encode.json [--model minilm] [--dtype bf16] [--texts 2000]

The same texts, model folder, precision, pooling and cut-off; both sort texts by length. sentence-transformers gets the
fastest of several batch sizes, found before. It needs `pip install sentence-transformers`. Its torch has no int8 and is
measured in fp32 then.
"""

import argparse
import statistics
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from side import alternate, conditions, keep, ratio, say, seconds

from ssna.data import load
from ssna.text import ReadOptions, encode
from ssna.text.encoder import TextEncoder
from ssna.text.encoding import Precision
from ssna.text.precision import TORCH_DTYPES

BATCHES = (16, 32, 64, 128)


def theirs(folder: str, max_tokens: int, dtype: Precision) -> SentenceTransformer:
    transformer = Transformer(folder, max_seq_length=max_tokens, model_kwargs={"dtype": TORCH_DTYPES[dtype]})
    pooling = Pooling(transformer.get_embedding_dimension(), "mean")
    return SentenceTransformer(modules=[transformer, pooling], device="cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--dtype", choices=["fp32", "bf16", "int8"], default="bf16")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    found = conditions(__file__)
    data = load(arguments.data)
    texts = list(dict.fromkeys(text for text in data.texts if text))[: arguments.texts]
    reader = TextEncoder.find(arguments.model, ReadOptions(dtype=arguments.dtype))
    tokens = sum(map(len, reader.tokenize(texts)))
    precision: Precision = "fp32" if arguments.dtype == "int8" else arguments.dtype
    model = theirs(reader.model.source, reader.max_tokens, precision)

    def sentence_transformers(batch: int) -> float:
        return tokens / seconds(lambda: model.encode(texts, batch_size=batch, show_progress_bar=False))

    speeds = {batch: sentence_transformers(batch) for batch in BATCHES}
    best = max(speeds, key=lambda batch: speeds[batch])
    say(f"sentence-transformers, tokens a second by batch size: {speeds}")
    numbers = count()
    with TemporaryDirectory() as folder:

        def ours() -> float:
            out = Path(folder) / str(next(numbers))
            _, report = encode(texts, arguments.model, out, ReadOptions(dtype=arguments.dtype), quiet=True)
            return report.tokens_per_second  # loading the weights is left out here as it is there

        rounds = alternate({"ours": ours, "theirs": lambda: sentence_transformers(best)}, arguments.rounds)
    found |= {
        "data": {"name": arguments.data.name, "fingerprint": data.fingerprint},
        "model": arguments.model,
        "dtype": arguments.dtype,
        "their_dtype": precision,
        "texts": len(texts),
        "tokens": tokens,
        "layers": {"ours": reader.shape[0], "theirs": 1},
        "batch_size": best,
        "tokens_a_second": rounds,
        "ratio": ratio(rounds, "ours", "theirs"),
    }
    medians = {name: statistics.median(values) for name, values in rounds.items()}
    print(
        f"ours, {found['layers']['ours']} layers stored: {medians['ours']:,.0f} tokens/s; sentence-transformers, the "
        f"last layer: {medians['theirs']:,.0f} tokens/s; ratio {found['ratio']:.2f}"
    )
    keep(arguments.out, found)


if __name__ == "__main__":
    main()
