"""Layouts with orders, sessions and objects inside objects; and an archive."""

import csv
import gzip
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from layouts import ITEMS, Layout
from layouts.parquet import histories

_SHOPIFY = """Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal
Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name
Lineitem price,Lineitem compare at price,Lineitem sku,Lineitem requires shipping,Lineitem taxable,Billing Name
Billing Street,Notes,Vendor,Id,Tags,Source,Lineitem discount,Phone""".replace("\n", ",")  # of 79


def otto(folder: Path, layout: Layout) -> None:
    """Sessions with their events."""
    rows = [
        {
            "session": int(row[0]["user"]),
            "events": [
                {"aid": int(event["item"]), "ts": event["ms"], "type": "clicks" if event["n"] % 2 else "orders"}
                for event in row
            ],
        }
        for row in histories(layout)
    ]
    _lines(folder / "otto-train.jsonl", map(json.dumps, rows))


def steam(folder: Path, layout: Layout) -> None:
    """Python dictionaries, with the u of Python 2."""
    log = [
        {
            "username": event["user"],
            "product_id": event["item"],
            "text": event["review"],
            "date": f"{event['at']:%Y-%m-%d}",
        }
        for event in layout.events()
    ]
    log[0]["user_id"] = "76561198117222320"
    _pack(folder / "steam_reviews.json.gz", map(_python_2, log))
    shelf = [{"title": item["title"], "app_name": "x", "id": item["item"]} for item in layout.items()]
    _pack(folder / "steam_games.json.gz", map(_python_2, shelf))


def steam_folder(folder: Path, layout: Layout) -> None:
    """The same in a folder, beside the bundles."""
    (folder / "steam").mkdir()
    steam(folder / "steam", layout)
    bundle = {"bundle_id": "450", "bundle_name": "Dharma", "bundle_price": "$66"}
    _pack(folder / "steam" / "bundle_data.json.gz", [_python_2(bundle)])


def shopify(folder: Path, layout: Layout) -> None:
    """Two lines an order; only the first has the order's cells."""
    with (folder / "orders_export.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _SHOPIFY.split(","), restval="")
        writer.writeheader()
        for event in layout.events():
            order = {
                "Name": f"#{1001 + event['n']}",
                "Email": event["user"],
                "Financial Status": "paid",
                "Created at": f"{event['local']:%Y-%m-%d %H:%M:%S} +0400",
                "Currency": "EUR",
            }
            line = {"Lineitem quantity": 1, "Lineitem name": event["title"], "Lineitem sku": event["item"]}
            writer.writerow(order | line)


def woocommerce(folder: Path, layout: Layout) -> None:
    """An order a line, with its lines inside."""
    rows = [
        {
            "id": 727 + event["n"],
            "status": "processing",
            "date_created": f"{event['local']:%Y-%m-%dT%H:%M:%S}",
            "date_created_gmt": f"{event['at']:%Y-%m-%dT%H:%M:%S}",
            "customer_id": int(event["user"]),
            "line_items": [{"id": 315, "name": event["title"], "product_id": int(event["item"]), "quantity": 2}],
        }
        for event in layout.events()
    ]
    _lines(folder / "orders.jsonl", map(json.dumps, rows))


def instacart(folder: Path, layout: Layout) -> None:
    """An order an event, in the order of the orders; their ids fall, and lines stand in the order of these."""
    folder = folder / "instacart"
    folder.mkdir()
    orders, lines = ["order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order"], []
    for event in layout.events():
        gap = "9.0" if event["step"] else ""
        orders.append(f"{100 - event['n']},{event['user']},prior,{event['step'] + 1},2,08,{gap}")
        lines.append(f"{100 - event['n']},{event['item']},1,0")
    _lines(folder / "orders.csv", orders)
    head = "order_id,product_id,add_to_cart_order,reordered"
    _lines(folder / "order_products__prior.csv", [head, *lines[:0:-1]])
    _lines(folder / "order_products__train.csv", [head, lines[0]])
    products = [f"{item['item']},{item['title']},61,19" for item in layout.items()]
    _lines(folder / "products.csv", ["product_id,product_name,aisle_id,department_id", *products])
    _lines(folder / "aisles.csv", ["aisle_id,aisle", "61,cookies cakes"])
    _lines(folder / "departments.csv", ["department_id,department", "19,snacks"])


def olist(folder: Path, layout: Layout) -> None:
    """An order an event, and a customer an order; who that is stands in a fourth table."""
    folder = folder / "olist"
    folder.mkdir()
    orders, lines, customers = [], [], []
    for event in layout.events():
        n = event["n"]
        orders.append(f'"o{n}","c{n}","delivered","{event["at"]:%Y-%m-%d %H:%M:%S}"')
        lines.append(f'"o{n}",1,"{event["item"]}","s1","2017-09-19 09:45:35",58.9')
        customers.append(f'"c{n}","{event["user"]}","14409","franca","SP"')
    tables = {
        "orders": ['"order_id","customer_id","order_status","order_purchase_timestamp"', *orders],
        "order_items": ['"order_id","order_item_id","product_id","seller_id","shipping_limit_date","price"', *lines],
        "customers": [
            '"customer_id","customer_unique_id","customer_zip_code_prefix","customer_city","customer_state"',
            *customers,
        ],
        "order_payments": ['"order_id","payment_sequential","payment_value"', '"o1",1,99.33'],
        "sellers": ['"seller_id","seller_city"', '"s1","campinas"'],
        "products": [
            '"product_id","product_category_name","product_weight_g"',
            *(f'"{item["item"]}","cool_stuff","225"' for item in layout.items()),
        ],
    }
    for name, rows in tables.items():
        _lines(folder / f"olist_{name}_dataset.csv", rows)


def archive(folder: Path, layout: Layout) -> None:
    """A zip file by another name."""
    with zipfile.ZipFile(folder / "ratings.csv", "w") as file:
        file.writestr("inner.csv", "user,item\n" + "u,i\n" * ITEMS + layout.user)


def _python_2(row: dict[str, Any]) -> str:
    return "{" + ", ".join(f"u'{key}': u{value!r}" for key, value in row.items()) + "}"


def _lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _pack(path: Path, lines: Iterable[str]) -> None:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
