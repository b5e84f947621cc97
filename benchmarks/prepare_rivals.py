"""What ``ssna prepare LOG --items ITEMS -o OUT`` does, written with Polars and with pandas over pyarrow.

python benchmarks/prepare_rivals.py polars|pandas LOG ITEMS OUT

Rows without user, item, time or title go, then users and items with fewer than five events until none is left; users
and items are numbered in the order of their ids; each user's events are sorted by time, at the same time by the MD5 of
user id, U+001F, item id (worked out only where there are several). The last two events of a user are split off. No
report, no fingerprint, no checks.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

CORE = 5


def md5(user: str, item: str) -> bytes:
    return hashlib.md5(f"{user}\x1f{item}".encode()).digest()


def with_polars(log: Path, items: Path, out: Path) -> None:
    """Ids become dense integers as soon as they are read; what can be streamed is."""
    import polars as pl

    scan: Any = {".parquet": pl.scan_parquet, ".csv": pl.scan_csv}[log.suffix]
    titles = scan(items).drop_nulls().select("item", "title")
    rows = scan(log).select("user", "item", "time").drop_nulls().join(titles, on="item", how="semi")
    read = rows.collect(engine="streaming")
    ids = {}
    for key in ("user", "item"):
        ids[key] = read.select(pl.col(key).unique().sort()).with_row_index("row")
        read = read.join(ids[key], on=key).drop(key).rename({"row": key})
    while True:
        size = len(read)
        for key in ("user", "item"):
            enough = read.lazy().group_by(key).len().filter(pl.col("len") >= CORE).select(key)
            read = read.lazy().join(enough, on=key, how="semi").collect(engine="streaming")
        if len(read) == size:
            break
    ordered = read.lazy().sort("user", "time").collect(engine="streaming")
    same = (pl.col("user") == pl.col("user").shift(-1)) & (pl.col("time") == pl.col("time").shift(-1))
    several = ordered.select((same | same.shift(1)).fill_null(False)).to_series()
    tied = ordered.filter(several)
    names = [ids[key][key].gather(tied[key]) for key in ("user", "item")]
    ties = pl.Series("tie", [md5(*pair) for pair in zip(*names, strict=True)], dtype=pl.Binary)
    settled = tied.with_columns(ties).sort("user", "time", "tie")
    ordered = ordered.with_columns(item=ordered["item"].scatter(several.arg_true(), settled["item"]))
    for key in ("user", "item"):
        kept = ordered.select(pl.col(key).unique().sort()).with_row_index("number", offset=1)
        ids[key] = ids[key].join(kept, left_on="row", right_on=key, how="semi", maintain_order="left")
        ordered = ordered.join(kept, on=key, maintain_order="left").drop(key).rename({"number": key})
    last, next_is_last = (pl.col("user").ne_missing(pl.col("user").shift(-steps)) for steps in (1, 2))
    events = ordered.select(pl.col("user", "item").cast(pl.Int32), "time", last=last, valid=next_is_last & ~last)
    ids["user"].select(id="user").write_parquet(out / "users.parquet")
    texts = ids["item"].lazy().join(titles, on="item", maintain_order="left").select(id="item", text="title")
    texts.collect().write_parquet(out / "items.parquet")
    parts = {"train": ~pl.col("last") & ~pl.col("valid"), "valid": pl.col("valid"), "test": pl.col("last")}
    for name, part in parts.items():
        events.filter(part).drop("last", "valid").write_parquet(out / f"{name}.parquet")


def with_pandas(log: Path, items: Path, out: Path) -> None:
    """Arrow strings until the ids are integers (factorize), NumPy types from then on."""
    import numpy as np
    import pandas as pd

    read: Any = {".parquet": _read_parquet, ".csv": _read_csv}[log.suffix]
    titles = read(items, ["item", "title"]).dropna()
    rows = read(log, ["user", "item", "time"]).dropna()
    rows = rows[rows["item"].isin(titles["item"])]
    ids, codes = {}, {"time": rows["time"].to_numpy(dtype=np.int64)}
    for key in ("user", "item"):
        found, names = pd.factorize(rows[key], sort=True)
        codes[key], ids[key] = found.astype(np.int32), np.asarray(names, dtype=object)
    events = pd.DataFrame(codes)
    del rows, codes
    while True:
        size = len(events)
        for key in ("user", "item"):
            events = events[np.bincount(events[key])[events[key]] >= CORE]
        if len(events) == size:
            break
    events = events.sort_values(["user", "time"], ignore_index=True)
    several = events.duplicated(["user", "time"], keep=False).to_numpy()
    tied = events[several]
    pairs = zip(ids["user"][tied["user"]], ids["item"][tied["item"]], strict=True)
    ties = np.frombuffer(b"".join(md5(*pair) for pair in pairs), dtype=">u8").reshape(-1, 2)
    order = np.lexsort((ties[:, 1], ties[:, 0], tied["time"], tied["user"]))
    events.loc[several, "item"] = tied["item"].to_numpy()[order]
    for key in ("user", "item"):
        kept, rows_of = np.unique(events[key], return_inverse=True)
        events[key], ids[key] = rows_of.astype(np.int32) + 1, ids[key][kept]
    last = events["user"].groupby(events["user"]).cumcount(ascending=False)
    pd.DataFrame({"id": ids["user"]}).to_parquet(out / "users.parquet", index=False)
    texts = titles.drop_duplicates("item").set_index("item")["title"].loc[ids["item"]]
    pd.DataFrame({"id": ids["item"], "text": texts.to_numpy()}).to_parquet(out / "items.parquet", index=False)
    for name, chosen in (("train", last > 1), ("valid", last == 1), ("test", last == 0)):
        events[chosen].to_parquet(out / f"{name}.parquet", index=False)


def _read_parquet(path: Path, columns: list[str]) -> Any:
    import pandas as pd

    return pd.read_parquet(path, columns=columns, dtype_backend="pyarrow")


def _read_csv(path: Path, columns: list[str]) -> Any:
    import pandas as pd

    return pd.read_csv(path, usecols=columns, engine="pyarrow", dtype_backend="pyarrow")


RIVALS = {"polars": with_polars, "pandas": with_pandas}

if __name__ == "__main__":
    name, *paths = sys.argv[1:]
    RIVALS[name](*map(Path, paths))
