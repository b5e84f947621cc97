"""A made shop, the same bytes for the same seed: what customers buy depends on texts, on popularity and on order.

    python tests/shop.py FOLDER

writes ``purchases.csv`` (customer, sku, date, price) and ``products.csv`` (sku, title, brand, category). Ten categories
have four kinds of device each, and each kind has three accessories, the last of which is used up and bought again.
A customer likes some categories, kinds and brands. A device is followed by accessories of its kind, and seldom by
another device of that kind. Nothing but the title, the brand and the category says what a product is.
"""

import csv
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# category -> device -> its accessories, of which the last is used up
CATALOGUE: dict[str, dict[str, tuple[str, str, str]]] = {
    "Coffee and Tea": {
        "espresso machine": ("milk frothing jug", "portafilter basket", "espresso beans, 1 kg"),
        "burr coffee grinder": ("grinder cleaning brush", "coffee bean canister", "grinder cleaning tablets"),
        "electric kettle": ("kettle limescale filter", "insulated teapot", "loose leaf black tea"),
        "French press": ("French press mesh filter", "cork coaster for French presses", "coarse ground coffee"),
    },
    "Photography": {
        "mirrorless camera": ("camera neck strap", "prime lens 35 mm", "lithium camera battery"),
        "instant film camera": ("instant camera case", "photo album for instant film", "instant film, pack of 20"),
        "photo tripod": ("tripod ball head", "tripod carrying bag", "tripod quick release plates"),
        "studio flash": ("softbox for studio flashes", "flash radio trigger", "flash tube replacement"),
    },
    "Garden": {
        "cordless lawn mower": ("mower blade", "grass collection bag", "lawn fertiliser"),
        "hedge trimmer": ("hedge trimmer blade cover", "thorn-proof gloves", "hedge trimmer chain oil"),
        "raised garden bed": ("garden trowel", "plant labels", "organic compost"),
        "sprinkler system": ("garden hose", "hose reel", "sprinkler nozzles"),
    },
    "Cycling": {
        "gravel bike": ("bicycle bottle cage", "bicycle saddle bag", "inner tube for gravel tyres"),
        "city bicycle": ("bicycle basket", "folding bicycle lock", "bicycle light batteries"),
        "indoor bike trainer": ("sweat guard for trainers", "trainer floor mat", "trainer tyre"),
        "child bike seat": ("bike seat rain cover", "children's cycling helmet", "reflective stickers for helmets"),
    },
    "Music": {
        "acoustic guitar": ("guitar gig bag", "clip-on guitar tuner", "bronze guitar strings"),
        "digital piano": ("piano bench", "sustain pedal", "piano sheet music"),
        "electronic drum kit": ("drum throne", "drum headphones", "hickory drumsticks"),
        "alto saxophone": ("saxophone neck strap", "saxophone stand", "saxophone reeds"),
    },
    "Baby": {
        "baby stroller": ("stroller rain cover", "stroller cup holder", "stroller sun lotion"),
        "breast pump": ("milk storage bottles", "nursing pillow", "nursing pads"),
        "nappy bin": ("baby changing mat", "changing table organiser", "newborn nappies"),
        "baby monitor": ("baby monitor wall mount", "night light for nurseries", "baby monitor batteries"),
    },
    "Aquarium": {
        "glass aquarium": ("aquarium gravel", "driftwood for aquariums", "tropical fish food"),
        "external aquarium filter": ("aquarium hose connector", "filter intake sponge", "aquarium filter media"),
        "aquarium plant light": ("light timer for aquariums", "aquascaping tweezers", "aquarium plant fertiliser"),
        "aquarium heater": ("aquarium thermometer", "heater guard", "water conditioner for aquariums"),
    },
    "Winter Sports": {
        "alpine skis": ("ski boots", "ski bag", "ski wax"),
        "snowboard": ("snowboard bindings", "snowboard boots", "snowboard edge wax"),
        "snow goggles": ("goggle case", "spare goggle lens", "anti-fog spray for goggles"),
        "wooden sledge": ("sledge pull rope", "sledge seat cushion", "hand warmers"),
    },
    "Painting and Drawing": {
        "studio easel": ("stretched canvas", "artist's palette", "acrylic paint tubes"),
        "watercolour set": ("watercolour brush", "masking tape for watercolours", "watercolour paper"),
        "graphite pencil set": ("kneaded eraser", "pencil sharpener", "sketchbook"),
        "airbrush compressor": ("airbrush gun", "airbrush holder", "airbrush ink"),
    },
    "Home Network": {
        "wireless router": ("router wall bracket", "outdoor antenna", "ethernet patch cables"),
        "network storage server": ("hard disk 8 TB", "disk caddy", "dust filters for servers"),
        "security camera": ("security camera mount", "weatherproof junction box", "memory card for security cameras"),
        "smart door lock": ("keypad for door locks", "door sensor", "door lock batteries"),
    },
}
QUALITIES = (
    "Compact", "Professional", "Lightweight", "Classic", "Premium", "Practical", "Reliable", "Quality", "Durable",
    "Original", "Modern", "Everyday",
)  # fmt: skip
FINISHES = (
    "black", "white", "forest green", "navy blue", "red", "silver", "grey", "sand", "orange", "turquoise",
)  # fmt: skip
PACKS = (
    "single pack", "twin pack", "value pack", "family pack", "refill pack", "trial size", "small size",
    "medium size", "large size", "gift box",
)  # fmt: skip
BRANDS = (
    "Abelund", "Brevik", "Calderon", "Dunmore", "Elvast", "Farnholt", "Galdera", "Hesper", "Ivarra", "Jorvane",
    "Kelmont", "Lindqvist", "Morrano", "Nerthus", "Ostrava", "Pellworth", "Quillan", "Ravenna", "Solheim", "Tamsin",
    "Ulvik", "Verano", "Westray", "Yarrow", "Zandvoort", "Amberley", "Borgund", "Corvane", "Delphine", "Eskdale",
    "Fenwick", "Gravenna", "Holmgard", "Isolde", "Kirkwall", "Lorenzo", "Maristel", "Norvane", "Ormond", "Pallas",
)  # fmt: skip
MEAN_EVENTS, FEWEST_EVENTS = 10.7, 5  # of a customer
FIRST_DAY, DAYS = datetime(2024, 1, 1), 400  # in which customers begin


@dataclass(frozen=True)
class Products:
    """Columns of ``products.csv`` and what the texts say, one row a product."""

    titles: list[str]
    brand: NDArray[np.int64]
    category: NDArray[np.int64]
    kind: NDArray[np.int64]  # of device, over all categories
    device: NDArray[np.bool_]  # the device itself, no accessory of it
    used_up: NDArray[np.bool_]
    price: NDArray[np.float64]
    popularity: NDArray[np.float64]


@dataclass(frozen=True)
class Purchases:
    """One row a purchase, by time: rows of customers and of products, seconds since the first day."""

    customer: NDArray[np.int64]
    product: NDArray[np.int64]
    second: NDArray[np.int64]


def make_products(count: int, rng: np.random.Generator) -> Products:
    """Products of all nouns in turn, in a random order; no two titles are alike while there are words."""
    nouns = [
        (category, kind, noun, place)
        for category, devices in enumerate(CATALOGUE.values())
        for kind, (device, accessories) in enumerate(devices.items(), start=4 * category)
        for place, noun in enumerate((device, *accessories))
    ]
    looks = [list(product(QUALITIES, PACKS if place == 3 else FINISHES)) for *_, place in nouns]
    for each in looks:
        rng.shuffle(each)
    turn = rng.permutation(count)
    chosen = [nouns[i % len(nouns)] for i in turn]
    look = [looks[i % len(nouns)][i // len(nouns) % len(looks[0])] for i in turn]
    category, kind, place = (np.array([noun[part] for noun in chosen], dtype=np.int64) for part in (0, 1, 3))
    makers = rng.permuted(np.tile(np.arange(len(BRANDS)), 2)).reshape(len(CATALOGUE), -1)  # eight a category
    device = place == 0
    return Products(
        titles=[f"{quality} {noun[2]}, {finish}" for noun, (quality, finish) in zip(chosen, look, strict=True)],
        brand=makers[category, rng.integers(makers.shape[1], size=count)],
        category=category,
        kind=kind,
        device=device,
        used_up=place == 3,
        price=rng.lognormal(np.where(device, 5.3, 3.0), 0.5).round(2),
        popularity=np.exp(rng.normal(0.0, 0.7, size=count)),
    )


def make_purchases(goods: Products, customers: int, rng: np.random.Generator) -> Purchases:
    """Step by step for all customers: by taste and popularity, by what was bought last and by what is owned."""
    weight = _tastes(goods, customers, rng) * goods.popularity.astype(np.float32)
    length = FEWEST_EVENTS - 1 + rng.geometric(1 / (MEAN_EVENTS - FEWEST_EVENTS + 1), size=customers)
    follows = _follows(goods)
    last = np.full(customers, -1)
    second = rng.integers(DAYS * 86_400, size=customers)
    steps: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
    for step in range(int(length.max())):
        who = np.flatnonzero(length > step)
        chance = weight[who] * follows[last[who]] if step else weight[who]
        bought = (rng.standard_exponential(chance.shape, dtype=np.float32) / (chance + 1e-30)).argmin(axis=1)
        same_kind = goods.device[bought, None] & goods.device & (goods.kind[bought, None] == goods.kind)
        weight[who] *= np.where(same_kind, np.float32(0.1), np.float32(1))  # one such device is enough
        weight[who, bought] *= goods.used_up[bought]
        last[who] = bought
        steps.append((who, bought, second[who]))
        second[who] += 60 + rng.exponential(np.where(goods.device[bought], 3.0, 9.0) * 86_400).astype(np.int64)
    customer, product, when = (np.concatenate(column) for column in zip(*steps, strict=True))
    by_time = np.lexsort((customer, when))
    return Purchases(customer[by_time], product[by_time], when[by_time])


def write(folder: Path, seed: int = 0, customers: int = 3000, products: int = 800) -> None:
    """Write ``purchases.csv`` and ``products.csv`` into ``folder``, which is made if it is not there."""
    rng = np.random.default_rng(seed)
    goods = make_products(products, rng)
    purchases = make_purchases(goods, customers, rng)
    folder.mkdir(parents=True, exist_ok=True)
    names = list(CATALOGUE)
    with (folder / "products.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("sku", "title", "brand", "category"))
        for row, (title, brand, category) in enumerate(zip(goods.titles, goods.brand, goods.category, strict=True)):
            table.writerow((f"sku-{row + 1}", title, BRANDS[brand], names[category]))
    with (folder / "purchases.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("customer", "sku", "date", "price"))
        for who, what, second in zip(purchases.customer, purchases.product, purchases.second.tolist(), strict=True):
            date = FIRST_DAY + timedelta(seconds=second)
            table.writerow((f"c{who + 1}", f"sku-{what + 1}", date.isoformat(sep=" "), f"{goods.price[what]:.2f}"))


def _tastes(goods: Products, customers: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """``(customers, products)``: liking of the category, of the kind and of the brand, multiplied."""
    category = rng.dirichlet(np.full(len(CATALOGUE), 0.3), size=customers)
    kind = rng.lognormal(0.0, 1.0, size=(customers, 4 * len(CATALOGUE)))
    brand = rng.lognormal(0.0, 0.8, size=(customers, len(BRANDS)))
    liking = (category[:, goods.category] + 0.005) * kind[:, goods.kind] * brand[:, goods.brand]
    return liking.astype(np.float32)


def _follows(goods: Products) -> NDArray[np.float32]:
    """``(last, next)``: how much likelier a product is right after another one."""
    same = goods.kind[:, None] == goods.kind
    after_device = same & goods.device[:, None] & ~goods.device
    after_accessory = same & ~goods.device[:, None] & ~goods.device
    return np.where(after_device, 40.0, np.where(after_accessory, 4.0, 1.0)).astype(np.float32)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/shop.py FOLDER")
    write(folder := Path(sys.argv[1]))
    print(f"written: {folder / 'purchases.csv'} (3,000 customers) and {folder / 'products.csv'} (800 products)")
