"""Texts such as items have, by which a language model is quantized. Others would give other vectors: they stay."""

from collections.abc import Callable, Sequence
from typing import Any, Final

Ids = list[int]

TEXTS: Final = (
    "Stainless Steel Water Bottle 750 ml, Double Wall, Keeps Cold 24 Hours, Leakproof Lid, Matte Black",
    "A detective returns to the village of her childhood, where nobody wants to remember the summer of the fire. "
    "A slow, wintry novel about guilt, snow and three sisters who have not spoken for years. Paperback, 412 pages.",
    "USB-C to HDMI Adapter 4K@60Hz",
    "Organic Rolled Oats, Gluten Free, 32 oz (Pack of 4)",
    "Digital Multimeter, 6000 Counts, True RMS, AC/DC Voltage, Current, Resistance, Capacitance, Temperature",
    "Wooden train set for toddlers, 64 pieces with bridge, tunnel and magnetic wagons, age 3 and up",
    "Guitar strings, light gauge .010-.046, nickel wound, 3 sets",
    "Lavender hand cream 75 ml",
    "Men's running shoes, breathable mesh upper, cushioned sole, size 42, navy blue and white",
    "The Complete Beginner's Guide to Sourdough",
    "3D printer filament PLA 1.75 mm, 1 kg spool, dimensional accuracy +/- 0.02 mm, fits most FDM printers",
    "Wireless Mouse",
    "Replacement filter cartridge for aquarium pumps, compatible with models 20, 30 and 45; contains activated carbon",
    "Green tea with jasmine, 100 tea bags, fair trade",
    "LED desk lamp with wireless charger, five brightness levels, touch control, memory function, eye caring light",
    "Strategy board game for two to four players about trading spices along old sea routes. Playing time 90 minutes.",
    "Nitrile gloves, powder free, medium, box of 100",
    "Cat litter, clumping, unscented, 40 lb",
    "A romantic comedy in which a pastry chef and a food critic are snowed in at a mountain inn. DVD, 104 minutes.",
    "Acoustic foam panels 12 x 12 x 1 inch, 24 pack, charcoal",
    "Garden hose 50 ft expandable with 10 function nozzle and brass fittings, no kink, for lawn and car wash",
    "Toothpaste, whitening, mint, 6.4 oz",
    "Silver necklace with moon pendant, adjustable chain, gift box",
    "Laptop sleeve 13.3 inch, felt, grey",
    "Borosilicate glass beaker set: 50 ml, 100 ml, 250 ml, 500 ml and 1000 ml, graduated, with spout, for laboratories",
    "Puzzle 1000 pieces",
    "Protein bars, chocolate peanut butter, 20 g protein, 1 g sugar, 12 count",
    "Space adventure video game for one or two players: build a ship, trade between 40 planets, find your lost crew",
    "Baby monitor with camera and night vision",
    "Extra virgin olive oil, first cold pressed, unfiltered, harvest 2023, 500 ml tin",
    "Bicycle chain lubricant for dry conditions, 120 ml; use sparingly, wipe off excess, and apply again after rain.",
    "Yoga mat 6 mm non slip",
    "Ceramic knife",
    "Electric kettle 1.7 L, 1500 W, fast boil, auto shut-off and boil-dry protection, cordless, BPA free, steel",
    "Women's rain jacket, hooded, packable, waterproof 5000 mm, olive",
    "History of the steam engine: how a toy of the ancients became the motor of an age (illustrated edition)",
    "Bluetooth speaker, IPX7, 20 hours",
    "Dog leash, reflective",
    "Kaffeemaschine mit Mahlwerk, 15 bar, Milchschaum, Edelstahl",
    "Crème hydratante pour peaux sensibles, sans parfum, 200 ml",
    "Juego de mesa cooperativo para toda la familia",
    "日本茶 煎茶 100g",
    "Вязаный шарф из шерсти, серый",
    "B07XJ8C8F5",
    "n/a",
    "New!!! Sale -50% *** phone case *** clear, soft TPU, shockproof corners, 6.1'' & 6.7''",
    "This reference manual explains how instruments are chosen, installed, calibrated and maintained in factories "
    "and school laboratories. It begins with measuring length, mass, time and temperature, and goes on to pressure, "
    "flow, light and electrical quantities. Each chapter states what an instrument can and cannot resolve, what errors "
    "are common, how they are found, and when a repair costs more than a replacement. Tables list conversion factors, "
    "material properties and safe limits; worked examples show each step of a calculation. An appendix has forms for "
    "records, a glossary in four languages, and addresses of suppliers. The second edition adds data loggers, wireless "
    "sensors and spreadsheets, and corrects some forty mistakes that readers were kind enough to report. Hardcover, "
    "684 pages, with 312 figures, ribbon marker and a folded wall chart.",
)

OWN, LENGTH = 8, 24


def calibration(tokenizer: Any, tokenize: Callable[[list[str]], list[list[int]]], ordinary: Sequence[int]) -> list[Ids]:
    """Token ids of the texts above that the model knows a token of, and of texts of its own tokens; the longest first.

    Args:
        tokenize: texts to ids, special tokens included.
        ordinary: tokens that are no special ones.
    """
    chosen = [ordinary[7919 * n % len(ordinary)] for n in range(OWN * LENGTH)]
    own = [tokenizer.decode(chosen[start : start + LENGTH]) for start in range(0, len(chosen), LENGTH)]
    special = set(tokenizer.all_special_ids)
    known = [ids for ids in tokenize(list(TEXTS)) if not special.issuperset(ids)]
    return sorted([*known, *tokenize(own)], key=len, reverse=True)
