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
    """An order an event; the time is a day of the week and the days since the order before."""
    folder = folder / "instacart"
    folder.mkdir()
    orders, lines = ["order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order"], []
    for event in layout.events():
        gap = "9.0" if event["step"] else ""
        orders.append(f"{event['n']},{event['user']},prior,{event['step'] + 1},2,08,{gap}")
        lines.append(f"{event['n']},{event['item']},1,0")
    _lines(folder / "orders.csv", orders)
    _lines(folder / "order_products__prior.csv", ["order_id,product_id,add_to_cart_order,reordered", *lines])
    products = [f"{item['item']},{item['title']},61,19" for item in layout.items()]
    _lines(folder / "products.csv", ["product_id,product_name,aisle_id,department_id", *products])


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
