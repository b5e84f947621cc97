"""Logs and items out of databases, through ADBC: SQLite, and a PostgreSQL server that is started for it."""

import sqlite3

import pytest
from data_files import square

import ssna
from postgres_server import postgres_server
from ssna.core.errors import SsnaError
from ssna.data import append, prepare

pytestmark = pytest.mark.slow
pytest.importorskip("adbc_driver_sqlite")

LOGS, ITEMS = 'SELECT "user", item, "time" FROM purchases', "SELECT item, title FROM products"


def rows():
    log = [(user, item, time) for user, item, time, _ in square()]
    return log, sorted({(item, title) for _, item, _, title in square()})


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    log, items = rows()
    folder = tmp_path_factory.mktemp("tables")
    (folder / "log.csv").write_text("user,item,time\n" + "".join(f"{u},{i},{t}\n" for u, i, t in log))
    (folder / "items.csv").write_text("item,title\n" + "".join(f"{i},{t}\n" for i, t in items))
    return prepare(folder / "log.csv", folder / "items.csv", quiet=True).fingerprint


@pytest.fixture(scope="module")
def shop_db(tmp_path_factory):
    path = tmp_path_factory.mktemp("sqlite") / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE purchases ("user" TEXT, item TEXT, "time" INTEGER)')
        connection.execute("CREATE TABLE products (item TEXT, title TEXT)")
        log, items = rows()
        connection.executemany("INSERT INTO purchases VALUES (?, ?, ?)", log)
        connection.executemany("INSERT INTO products VALUES (?, ?)", items)
    connection.close()
    return path


def test_an_address_of_sqlite_gives_what_the_tables_give(shop_db, expected):
    address = f"sqlite:///{shop_db}"
    query = ssna.query(LOGS, address)
    for _ in range(2):  # it can be asked again
        assert prepare(query, ssna.query(ITEMS, address), quiet=True).fingerprint == expected
    assert repr(query) == '<Query \'SELECT "user", item, "time" FROM purchases\'>'


def test_an_open_connection_serves_and_stays_open(shop_db, expected):
    from adbc_driver_sqlite import dbapi

    with dbapi.connect(str(shop_db)) as connection:
        logs, items = ssna.query(LOGS, connection), ssna.query(ITEMS, connection)
        assert prepare(logs, items, quiet=True).fingerprint == expected
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)


def test_what_is_queried_can_be_appended(shop_db, expected, tmp_path):
    address, rules = f"sqlite:///{shop_db}", {"min_user": 0, "min_item": 0, "quiet": True}
    first = ssna.query(f'{LOGS} WHERE "time" < 1005', address)
    prepare(first, ssna.query(ITEMS, address), out=tmp_path / "data", **rules)
    both = append(tmp_path / "data", ssna.query(f'{LOGS} WHERE "time" >= 1005', address), quiet=True)
    assert both.fingerprint == expected
    assert both.manifest["source"]["frames"]["logs"] == "ssna Query"


@pytest.mark.parametrize(
    ("sql", "address", "message"),
    [
        (
            "SELECT * FROM nowhere",
            "sqlite:///{db}",
            r"the query 'SELECT \* FROM nowhere' failed .*no such table: nowhere",
        ),
        ("SELEC 1", "sqlite:///{db}", "the query 'SELEC 1' failed .*syntax error"),
        ("SELECT 1", "oracle://x/y", "no driver for addresses of 'oracle'; there are sqlite, postgresql, postgres"),
        ("SELECT 1", "shop.db", "no driver for addresses of ''"),
        ("SELECT 1", 3, "an ADBC connection, or an address such as sqlite:///shop.db, not a int"),
        (3, "sqlite:///{db}", "a query is text"),
    ],
)
def test_what_cannot_be_asked_is_an_error_in_words(shop_db, sql, address, message):
    with pytest.raises(SsnaError, match=message):
        prepare(ssna.query(sql, address.format(db=shop_db) if isinstance(address, str) else address), quiet=True)


def test_no_message_shows_a_password():
    pytest.importorskip("adbc_driver_postgresql")
    with pytest.raises(SsnaError) as error:
        prepare(ssna.query("SELECT 1", "postgresql://me:very-secret@localhost:1/shop"), quiet=True)
    assert "very-secret" not in str(error.value)
    assert "failed" in str(error.value)


@pytest.fixture(scope="module")
def postgres():
    """The address of a server that lives as long as the tests of this file; skipped where there is none to start."""
    pytest.importorskip("adbc_driver_postgresql")
    with postgres_server() as server:
        yield server.address


@pytest.mark.long
def test_postgresql_gives_what_the_tables_give(postgres, expected):
    from adbc_driver_postgresql import dbapi

    log, items = rows()
    with dbapi.connect(postgres, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute('CREATE TABLE purchases ("user" TEXT, item TEXT, "time" TIMESTAMPTZ)')
        cursor.execute("CREATE TABLE products (item TEXT, title TEXT)")
        cursor.executemany("INSERT INTO purchases VALUES ($1, $2, to_timestamp($3))", log)
        cursor.executemany("INSERT INTO products VALUES ($1, $2)", items)
        logs = ssna.query(LOGS, connection)
        assert prepare(logs, ssna.query(ITEMS, postgres), quiet=True).fingerprint == expected
    assert prepare(ssna.query(LOGS, postgres), ssna.query(ITEMS, postgres), quiet=True).fingerprint == expected
