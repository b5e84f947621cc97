"""The tables of a server's state.

Items go by their outside ids, as in logs; events name them so, too, whether a run knows them or not.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from ssna.serving.limits import LIMITS

FORMAT = 1

TABLES = MetaData()


def _at_most(column: str, characters: int) -> CheckConstraint:
    return CheckConstraint(f"length({column}) <= {characters}")


_KEY = BigInteger().with_variant(Integer, "sqlite")  # which numbers rows by itself only where they are so called
STATE = Table("state", TABLES, Column("format", Integer, primary_key=True), Column("revision", BigInteger))
ADDED = Table(
    "added_items", TABLES,
    Column("number", _KEY, primary_key=True, autoincrement=True),
    Column("item", Text, unique=True, nullable=False),
    Column("text", Text, nullable=False),
    _at_most("item", LIMITS.id_length), _at_most("text", LIMITS.text_length),
    sqlite_autoincrement=True,
)  # fmt: skip
REMOVED = Table("removed_items", TABLES, Column("item", Text, primary_key=True), _at_most("item", LIMITS.id_length))
MODELS = Table(
    "language_models", TABLES,
    Column("fingerprint", String(12), primary_key=True),
    Column("encoding", Text, nullable=False),
)  # fmt: skip
VECTORS = Table(
    "item_vectors", TABLES,
    Column("number", ForeignKey(ADDED.c.number, ondelete="CASCADE"), primary_key=True),
    Column("source", String(100), primary_key=True),
    Column("layers", Integer, nullable=False),
    Column("vector", LargeBinary, nullable=False),
)  # fmt: skip
ATTRIBUTES = Table(
    "item_attributes", TABLES, Column("item", Text, primary_key=True), Column("given", Text, nullable=False),
    _at_most("item", LIMITS.id_length),
)  # fmt: skip
STATES = Table(
    "item_states", TABLES,
    Column("number", ForeignKey(ADDED.c.number, ondelete="CASCADE"), primary_key=True),
    Column("fingerprint", ForeignKey(MODELS.c.fingerprint), primary_key=True),
    Column("layers", Integer, nullable=False),
    Column("says_nothing", Boolean, nullable=False),
    Column("states", LargeBinary, nullable=False),
)  # fmt: skip
USERS = Table(
    "users", TABLES,
    Column("number", _KEY, primary_key=True, autoincrement=True),
    Column("id", Text, unique=True, nullable=False),
    _at_most("id", LIMITS.id_length),
    sqlite_autoincrement=True,
)  # fmt: skip
EVENTS = Table(
    "events", TABLES,
    Column("number", _KEY, primary_key=True, autoincrement=True),
    Column("user_number", ForeignKey(USERS.c.number, ondelete="CASCADE"), nullable=False),
    Column("item", Text, nullable=False),
    Column("time", BigInteger, nullable=False),  # microseconds since 1970
    Column("kind", Text),
    Column("seeded", Boolean, nullable=False),  # whether it came from a data folder, which has it already
    _at_most("item", LIMITS.id_length), _at_most("kind", LIMITS.kind_length),
    Index("events_of_user", "user_number", "time", "number"),
    sqlite_autoincrement=True,
)  # fmt: skip
SEEDS = Table(
    "seeds", TABLES,
    Column("fingerprint", String(16), primary_key=True),
    Column("timed", Boolean, nullable=False),
)  # fmt: skip
