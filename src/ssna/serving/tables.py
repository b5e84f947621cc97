"""The tables of a server's state.

Items go by their outside ids, as in logs: tables of their attributes, of users and of events can stand beside these.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
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
