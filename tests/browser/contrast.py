"""Contrast as WCAG 2 defines it: 4.5 for texts (AA), 7 for texts that are read for long (AAA)."""


def contrast(ink: str, ground: str) -> float:
    """Between two colours, each ``rgb(r, g, b)``."""
    bright, dim = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    """Relative, of ``rgb(r, g, b)``."""
    channels = (int(value) / 255 for value in colour.removeprefix("rgb(").removesuffix(")").split(","))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
