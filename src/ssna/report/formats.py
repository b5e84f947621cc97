"""Tables as text, Markdown, CSV, LaTeX and HTML: best bold, second underlined, notes beneath (but in CSV)."""

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from csv import DictWriter
from io import StringIO
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined

from ssna.report.table import DRY_RUN, MARKS, Cell, Figure, Style, Table

DASH, GAP, WIDTH = "–", "  ", 100
LEGEND = "Bold: best; underlined: second."
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def render(tables: Sequence[Table], form: str) -> str:
    """Several tables in one of ``FORMATS``: a blank line apart, or one under the other in one CSV table."""
    return csv(*tables) if form == "csv" else "\n".join(map(FORMATS[form], tables))


def text(table: Table) -> str:
    """Plain text, for a terminal: best ``*``, second ``+``."""
    ranked = any(table.rank(figure) for figure in table.figures())

    def sign(cell: Cell) -> str:
        return {1: "*", 2: "+"}.get(table.rank(cell) or 0, " ") if ranked else ""

    def line(cells: Sequence[str]) -> str:
        sides = [str.ljust] * table.labels + [str.rjust] * (len(cells) - table.labels)
        return GAP.join(side(c, width) for side, c, width in zip(sides, cells, widths, strict=True)).rstrip()

    n = table.labels
    heads = [_column_name(head) + (sign(None) if column >= n else "") for column, head in enumerate(table.head)]
    body = [[*map(plain, row[:n]), *(plain(cell) + sign(cell) for cell in row[n:])] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(heads, *body, strict=True)]
    above = _group_line(table, widths)
    lines = [*above, line(heads), *map(line, body), *(["* best  + second"] if ranked else [])]
    notes = [part for note in table.notes for part in textwrap.wrap(note, WIDTH)]
    return "\n".join([table.title, "", *lines, "", *notes]) + "\n"


def md(table: Table) -> str:
    """Markdown with a table as GitHub has it."""
    rules = ["---"] * table.labels + ["---:"] * (len(table.head) - table.labels)
    rows = [[_highlighted(table, cell, _md, "**{}**", "<u>{}</u>") for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in [[_md(_flat(head)) for head in table.head], rules, *rows]]
    return "\n".join([f"### {_md(table.title)}", "", *lines, "", "\n\n".join(map(_md, notes_beneath(table)))]) + "\n"


def csv(*tables: Table) -> str:
    """One header, the columns of all tables; which table, and what its figures belong to, in columns of their own.

    Full precision; a column of deviations, or of marks in words, behind a column that has any.
    """
    found = [columns(table) for table in tables]
    stream = StringIO()
    writer = DictWriter(stream, list(dict.fromkeys(head for of in found for head in of)), lineterminator="\n")
    writer.writeheader()
    for of in found:
        writer.writerows(dict(zip(of, row, strict=True)) for row in zip(*of.values(), strict=True))
    return stream.getvalue()


def latex(table: Table) -> str:
    """A ``table``; needs the package ``booktabs``."""
    above, rules, end = [], [], 0
    for group, span in _column_groups(table):
        start, end = end + 1, end + span
        above.append(rf"\multicolumn{{{span}}}{{c}}{{{_latex(group)}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{end}}}" if group else "")
    grouped = [" & ".join(above) + r" \\", " ".join(filter(None, rules))] if any(rules) else []
    rows = [
        [_highlighted(table, cell, _latex, r"\textbf{{{}}}", r"\underline{{{}}}") for cell in row] for row in table.rows
    ]
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{_latex(table.title)}}}",
            rf"\begin{{tabular}}{{{'l' * table.labels}{'r' * (len(table.head) - table.labels)}}}",
            r"\toprule",
            *grouped,
            " & ".join(_latex(_column_name(head)) for head in table.head) + r" \\",
            r"\midrule",
            *(" & ".join(row) + r" \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            r"\begin{minipage}{\linewidth}\footnotesize",
            *(_latex(note) + r"\par" for note in notes_beneath(table)),
            r"\end{minipage}",
            r"\end{table}",
        ]
    ) + "\n"  # fmt: skip


def html(table: Table) -> str:
    """One ``<table>``, notes in its foot."""
    return TEMPLATES.get_template("table.html").render(table=table, notes=notes_beneath(table)) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {"text": text, "md": md, "csv": csv, "latex": latex, "html": html}


def notes_beneath(table: Table) -> tuple[str, ...]:
    """The notes, and what bold and underlined mean where a figure is either."""
    ranked = any(table.rank(figure) in (1, 2) for figure in table.figures())
    return (LEGEND, *table.notes) if ranked else table.notes


def plain(cell: Cell) -> str:
    """A cell as people read it, not highlighted: ``.1436 ± .0012*``."""
    if not isinstance(cell, Figure):
        return DASH if cell is None else cell
    show = STYLES[cell.style]
    deviation = "" if cell.deviation is None else f" ± {show(cell.deviation).removeprefix('+')}"
    return show(cell.value) + deviation + cell.mark


def columns(table: Table) -> dict[str, list[object]]:
    """Heading -> cells, as CSV has them."""
    found: dict[str, list[object]] = {"table": [table.title] * len(table.rows)}
    for key in table.metadata[0] if table.metadata else ():
        found[key] = [about[key] for about in table.metadata]
    for head, cells in zip(map(_flat, table.head), zip(*table.rows, strict=True), strict=True):
        name = head.replace(DRY_RUN, f"({MARKS[DRY_RUN]})")
        deviations = [cell.deviation if isinstance(cell, Figure) else None for cell in cells]
        found[name], marks = map(list, zip(*map(_unmarked, cells), strict=True))
        if any(deviation is not None for deviation in deviations):
            found[f"{name} deviation"] = [*deviations]
        if any(marks):
            found[f"{name} mark"] = marks
    return found


def _unmarked(cell: Cell) -> tuple[object, str]:
    """A number or a name, and what its mark says."""
    if isinstance(cell, Figure):
        return cell.value, MARKS.get(cell.mark, cell.mark)
    name, mark, _ = (cell or "").partition(f" {DRY_RUN}")
    return name, MARKS[DRY_RUN] if mark else ""


def _without_leading_zero(number: str) -> str:
    """Without the zero before the point."""
    return re.sub(r"^([+-]?)0\.", r"\1.", number)


def _bytes(value: float) -> str:
    unit, name = next(((unit, name) for unit, name in UNITS if value >= unit), (1, "B"))
    return f"{value / unit:.1f} {name}"


STYLES: dict[Style, Callable[[float], str]] = {
    "score": lambda value: _without_leading_zero(f"{value:.4f}"),
    "percent": lambda value: f"{100 * value:.0f} %",
    "signed": lambda value: f"{100 * value:+z.1f} %",
    "difference": lambda value: _without_leading_zero(f"{value:+z.4f}"),
    "p": lambda value: "<.0001" if value < 1e-4 else _without_leading_zero(f"{value:.4f}"),
    "number": lambda value: f"{value:.2f}",
    "seconds": lambda value: f"{value:,.1f}",
    "bytes": _bytes,
    "count": lambda value: f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}",
}


def _highlighted(table: Table, cell: Cell, escaped: Callable[[str], str], best: str, second: str) -> str:
    return {1: best, 2: second}.get(table.rank(cell) or 0, "{}").format(escaped(plain(cell)))


def _column_name(head: str) -> str:
    return head.rpartition("\n")[2]


def _flat(head: str) -> str:
    return head.replace("\n", " ")


def _column_groups(table: Table) -> Iterator[tuple[str, int]]:
    """Column group (empty for none) and how many neighbouring columns it has."""
    for group, heads in groupby(table.head, key=lambda head: head.rpartition("\n")[0]):
        yield group, len(list(heads))


def _is_grouped(table: Table) -> bool:
    return any(group for group, _ in _column_groups(table))


def _group_line(table: Table, widths: list[int]) -> list[str]:
    """The line of column groups, centred over their columns, which are widened where they are too narrow."""
    parts, end = [], 0
    for group, span in _column_groups(table):
        start, end = end, end + span
        wide = sum(widths[start:end]) + len(GAP) * (span - 1)
        widths[end - 1] += max(len(group) - wide, 0)
        parts.append(group.center(max(len(group), wide)))
    return [GAP.join(parts).rstrip()] if _is_grouped(table) else []


def _md(raw: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", raw)


LATEX = str.maketrans(
    {char: rf"\{char}" for char in "&%$#_{}"}
    | {char: f"{{{char}}}" for char in "[]*"}  # behind a line's end they would be its options
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "–": r"\textendash{}"}
    | {"±": r"$\pm$", "×": r"$\times$", "≈": r"$\approx$", "‡": r"\ddag{}", "†": r"\dag{}"}
)


def _latex(raw: str) -> str:
    """Escaped; hyphens in a row stay apart, and a leading one is a minus."""
    apart = re.sub(r"-(?=-)", "-{}", raw.translate(LATEX))
    return re.sub(r"^-(?=[.\d])", "$-$", apart)


TEMPLATES = Environment(
    loader=PackageLoader("ssna.report"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
"""HTML templates; names and settings of runs are escaped."""
TEMPLATES.filters |= {
    "plain": plain,
    "is_grouped": _is_grouped,
    "column_groups": _column_groups,
    "column_name": _column_name,
}
