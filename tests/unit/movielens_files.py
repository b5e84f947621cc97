"""MovieLens in its four shapes."""

from collections.abc import Callable, Iterable
from pathlib import Path

from data_files import Row, square, write_csv

GENRES = ["unknown", "Action", "Children's", "Drama"]
FILMS: list[tuple[str, str, list[str]]] = [
    (f"{k}", f"Amélie: {k} (199{k})", [] if k == 0 else ["Action", "Children's"]) for k in range(1, 7)
]
FILMS[0] = ("1", "Amélie: 1 (1991)", [])
ROWS = [(user[1:], str(int(item[1:]) + 1), 4, 880_000_000 + step) for user, item, step, _ in square()]


def lines(path: Path, rows: Iterable[Row], delimiter: str, encoding: str) -> None:
    text = "".join(delimiter.join(map(str, row)) + "\n" for row in rows)
    path.write_bytes(text.encode(encoding))


def smallest(at: Path) -> str:
    lines(at / "u.data", ROWS, "\t", "latin-1")
    lines(at / "u.genre", [(name, place) for place, name in enumerate(GENRES)], "|", "latin-1")
    (at / "u.genre").write_text((at / "u.genre").read_text() + "\n")
    flags = [[int(name in genres or (not genres and name == "unknown")) for name in GENRES] for _, _, genres in FILMS]
    rows = [
        (k, title, "01-Jan-1991", "", "http://x/?a", *flag) for (k, title, _), flag in zip(FILMS, flags, strict=True)
    ]
    lines(at / "u.item", rows, "|", "latin-1")
    (at / "u1.base").write_text("1\t1\t5\t1\n")
    return "u.data"


def colons(encoding: str) -> Callable[[Path], str]:
    def write(at: Path) -> str:
        lines(at / "ratings.dat", ROWS, "::", encoding)
        rows = [(k, title, "|".join(genres) or "(no genres listed)") for k, title, genres in FILMS]
        lines(at / "movies.dat", rows, "::", encoding)
        lines(at / "users.dat", [(1, "F")], "::", encoding)
        return "ratings.dat"

    return write


def table(at: Path) -> str:
    write_csv(at / "ratings.csv", ROWS, ("userId", "movieId", "rating", "timestamp"))
    rows = [(k, title, "|".join(genres) or "(no genres listed)") for k, title, genres in FILMS]
    write_csv(at / "movies.csv", rows, ("movieId", "title", "genres"))
    write_csv(at / "links.csv", [(1, 2)], ("movieId", "imdbId"))
    return "ratings.csv"


SHAPES: dict[str, Callable[[Path], str]] = {
    "100K": smallest,
    "1M": colons("latin-1"),
    "10M": colons("utf-8"),
    "latest": table,
}
