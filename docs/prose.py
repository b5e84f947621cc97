"""Words and mean sentence length of README, CONTRIBUTING and every page: ``python docs/prose.py [FILE...]``.

Code blocks, tables, headings, HTML comments and the targets of links do not count.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
GENERATED = {"docs/performance.md", "docs/reference/cli.md", "docs/reference/settings.md"}


def prose(text: str) -> str:
    """The sentences of a Markdown page, a paragraph or list item a line."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^(\||#|:::|    ).*$", "", text, flags=re.M)
    text = re.sub(r"^\s*([-*]|\d+\.) ", "\n\n", text, flags=re.M)
    blocks = (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))
    return "\n".join(block for block in blocks if block)


def measure(text: str) -> tuple[int, int]:
    """Words and sentences. A sentence ends with ``.``, ``!`` or ``?`` before a space, or with its block."""
    sentences = [s for line in prose(text).split("\n") for s in re.split(r"(?<=[.!?])[*)`\"']*\s+", line)]
    counts = [count for sentence in sentences if (count := len(re.findall(r"\S*\w\S*", sentence)))]
    return sum(counts), len(counts)


def pages() -> list[Path]:
    """README, CONTRIBUTING, and the pages of the site that are written by hand."""
    own = [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.relative_to(ROOT).as_posix() not in GENERATED]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *own]


def main() -> None:
    """One line a page: words, words a sentence, lines."""
    for path in [Path(name).resolve() for name in sys.argv[1:]] or pages():
        text = path.read_text(encoding="utf-8")
        words, sentences = measure(text)
        mean, lines = words / max(sentences, 1), len(text.splitlines())
        print(f"{words:6,} words  {mean:5.1f} a sentence  {lines:4} lines  {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
