"""Which column is what: the names that are taken for granted, and the choice where several fit."""

from collections.abc import Collection, Mapping, Sequence

import ibis
from ibis import Table
from ibis.expr.types import Value

from ssna.core.errors import DataError, option
from ssna.data.sources.nested import LIST, paths
from ssna.data.sources.source import ITEM, NEEDS_TIMES, RATING, USER, WHEN, listed
from ssna.data.sources.tabular import TableFile

PERSON = ("customer_unique_id",)
"""Who is behind the customers of several orders, in Olist's files."""

# In the order of preference; case and punctuation do not count, nor what _SUFFIXES has.
USUAL: Mapping[str, tuple[str, ...]] = {
    USER: (
        *PERSON,
        *("user_id", "customer_id", "user", "customer", "uid", "reviewer_id", "visitor_id", "client_id", "member_id"),
        *("account_id", "buyer_id", "user_pseudo_id", "anonymous_id", "visitor", "username", "user_name", "email"),
        *("session_id", "session"),
    ),
    ITEM: (
        *("item_id", "product_id", "item", "product", "sku", "parent_asin", "asin", "article_id", "movie_id"),
        *("book_id", "anime_id", "video_id", "track_id", "song_id", "artist_id", "game_id", "news_id", "recipe_id"),
        *("business_id", "venue_id", "gmap_id", "app_id", "course_id", "post_id", "stock_code", "isbn", "lineitem_sku"),
        *("article", "movie", "book", "aid"),
    ),
    WHEN: (
        *("timestamp", "datetime", "time", "date", "event_timestamp", "event_time", "event_datetime", "ts"),
        *("unix_review_time", "created_at", "date_created_gmt", "date_created", "date_updated", "date_added"),
        *("invoice_date", "order_date", "purchase_date", "transaction_date", "transaction_dt", "t_dat", "event_date"),
        *("collector_tstamp", "impression_time", "ordered_at", "occurred_at", "updated_at", "review_date"),
        *("order_purchase_timestamp", "order_time", "purchase_time", "transaction_time"),
    ),
    RATING: ("rating", "ratings", "stars", "score", "overall", "book_rating"),
}
_LINE = ("lineitem_name", "line_item_name")  # of an order, which has a name itself
_NAMING = ("title", "name", "text")
_NAMING_ELSE = (
    *("product_title", "product_name", "prod_name", "item_name", "book_title", "movie_title", "app_name"),
    "description",
)
_KIND = ("categories", "category")
_KIND_ELSE = ("category_code", "category_name", "product_type_name", "product_category_name", "main_category")
_SUFFIXES = ("fixed",)  # of EB-NeRD
_LEAST_FILLED = 0.9
_NOTHING = ("", "na", "nan", "null", "none", r"\n")


def fitting(file: TableFile, role: str, given: str | None) -> tuple[str, ...]:
    """The columns that fit a role by their names, best first: the one that is given, or the usual ones.

    Raises:
        DataError: there is none.
    """
    if given is not None:
        return (given,)
    found = usual(file.names, USUAL[role]) or nested(file, USUAL[role])
    if not found and file.headless and not (role == WHEN and USER in file.names):
        row = next(iter(file.sample()), {})
        raise DataError(
            f"{file.path} has no header; name its columns, for example {option('header', ('user', 'item', 'time'))} "
            f"(its first row: {', '.join(map(str, row.values()))})"
        )
    if not found:
        word = "time" if role == WHEN else role
        raise DataError(
            f"{file.path}: which column is the {word}? Name it with {option(f'{word}_col')}; "
            f"it has: {listed(file.names)}{f'; {NEEDS_TIMES}' if role == WHEN else ''}"
        )
    return found


def nested(file: TableFile, wanted: Sequence[str], prefix: str = "") -> tuple[str, ...]:
    """The first path into the columns of ``file`` whose last name is among ``wanted``, as a tuple; or none."""
    known = {path: path[len(prefix) :] for path in paths(file.sample()) if path.startswith(prefix)}
    last = {path: _last(inner) for path, inner in known.items()}
    for name in wanted:
        for path, inner in last.items():
            if _plain(name) in (_plain(inner), _plain(inner).removesuffix("s"), _plain(inner).removesuffix("list")):
                return (path,)
    return ()


def choose(rows: Table, fits: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """For each role the place of its column among those that fit: the first that nearly all ``rows`` fill, or else the
    one that most do. ``rows`` have them as ``role_0``, ``role_1``, ...; nothing is read where only one fits.
    """
    chosen = {role: 0 for role, names in fits.items() if len(names) == 1}
    open_roles = [role for role in fits if role not in chosen]
    if not open_roles:
        return chosen
    columns = [f"{role}_{place}" for role in open_roles for place in range(len(fits[role]))]
    filled = rows.agg(**{name: _filled(rows[name]).mean() for name in columns}).to_pyarrow().to_pylist()[0]
    for role in open_roles:
        shares = [filled[f"{role}_{place}"] or 0 for place in range(len(fits[role]))]
        good = [place for place, share in enumerate(shares) if share >= _LEAST_FILLED]
        chosen[role] = good[0] if good else shares.index(max(shares))
    return chosen


def text_names_beside(file: TableFile, item: str) -> tuple[str, ...]:
    """As :func:`text_names`; where the item stands inside of an object, of what stands there beside it."""
    prefix = item[: len(item) - len(_last(item))]
    if not prefix or item in file.names or item.endswith(LIST):
        return text_names(file.names)
    beside = {path[len(prefix) :]: path for path in paths(file.sample()) if path.startswith(prefix)}
    return tuple(beside[name] for name in text_names(tuple(beside)))


def text_names(names: Collection[str]) -> tuple[str, ...]:
    """The columns that make up an item's text by their names: what it is called, of which kind, by whom."""
    called = usual(names, _LINE) or usual(names, _NAMING) or usual(names, _NAMING_ELSE)[:1]
    return called + (usual(names, _KIND) or usual(names, _KIND_ELSE)[:1]) + usual(names, ("brand",))


def usual(names: Collection[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of ``names`` that are among ``wanted``, in the order of these."""
    known: dict[str, str] = {}
    for name in names:
        plain = _plain(name)
        for form in (plain, *(plain.removesuffix(suffix) for suffix in _SUFFIXES)):
            known.setdefault(form, name)
    return tuple(dict.fromkeys(known[_plain(name)] for name in wanted if _plain(name) in known))


def is_known(name: str) -> bool:
    """Whether a cell of a first line is a usual name of a column."""
    return _plain(name) in _KNOWN


def _filled(column: Value) -> Value:
    if column.type().is_string():
        return ibis.coalesce(~column.strip().lower().isin(_NOTHING), ibis.literal(False))
    return column.notnull()


def _last(path: str) -> str:
    return path.removesuffix(LIST).replace(LIST, ".").split(".")[-1]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


_KNOWN = frozenset(
    _plain(name)
    for names in (
        *USUAL.values(),
        _NAMING,
        _NAMING_ELSE,
        _KIND,
        _KIND_ELSE,
        ("brand", "genre", "genres", "price", "id"),
    )
    for name in names
)
