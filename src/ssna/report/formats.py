"""Tables as text, Markdown, CSV, LaTeX and HTML: best bold, second underlined, notes beneath (but in CSV)."""

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from csv import DictWriter
from html import escape
from io import StringIO
from itertools import groupby

from ssna.report.table import MARKS, DRY_RUN, Cell, Figure, Style, Table

DASH, GAP, WIDTH = "–", "  ", 100
LEGEND = "Bold: best; underlined: second."
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def render(tables: Sequence[Table], form: str) -> str:
    """Several tables in one of ``FORMATS``: a blank line apart, or one under the other in one CSV table."""
    return csv(*tables) if form == "csv" else "\n".join(map(FORMATS[form], tables))


def text(table: Table) -> str:
    """For a terminal: best ``*``, second ``+``."""
    ranked = any(table.place(figure) for figure in table.figures())

    def sign(cell: Cell) -> str:
        place = table.place(cell) if isinstance(cell, Figure) else None
        return {1: "*", 2: "+"}.get(place or 0, " ") if ranked else ""

    def line(cells: Sequence[str]) -> str:
        sides = [str.ljust] * table.labels + [str.rjust] * (len(cells) - table.labels)
        return GAP.join(side(c, width) for side, c, width in zip(sides, cells, widths, strict=True)).rstrip()

    n = table.labels
    heads = [_name(head) + (sign(None) if column >= n else "") for column, head in enumerate(table.head)]
    body = [[*map(plain, row[:n]), *(plain(cell) + sign(cell) for cell in row[n:])] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(heads, *body, strict=True)]
    above = _spread(table, widths)
    lines = [*above, line(heads), *map(line, body), *(["* best  + second"] if ranked else [])]
    notes = [part for note in table.notes for part in textwrap.wrap(note, WIDTH)]
    return "\n".join([table.title, "", *lines, "", *notes]) + "\n"


def md(table: Table) -> str:
    """For GitHub."""
    rules = ["---"] * table.labels + ["---:"] * (len(table.head) - table.labels)
    rows = [[_placed(table, cell, _md, "**{}**", "<u>{}</u>") for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in [[_md(_flat(head)) for head in table.head], rules, *rows]]
    return "\n".join([f"### {_md(table.title)}", "", *lines, "", "\n\n".join(map(_md, beneath(table)))]) + "\n"


def csv(*tables: Table) -> str:
    """One header, the columns of all tables; which table, and what its figures stand on, in columns of their own.

    Full precision; a column of deviations, or of marks in words, behind a column that has any.
    """
    columns = [_columns(table) for table in tables]
    stream = StringIO()
    writer = DictWriter(stream, list(dict.fromkeys(head for of in columns for head in of)), lineterminator="\n")
    writer.writeheader()
    for of in columns:
        writer.writerows(dict(zip(of, row, strict=True)) for row in zip(*of.values(), strict=True))
    return stream.getvalue()


def latex(table: Table) -> str:
    """A ``table``; needs the package ``booktabs``."""
    above, rules, end = [], [], 0
    for group, span in _groups(table):
        start, end = end + 1, end + span
        above.append(rf"\multicolumn{{{span}}}{{c}}{{{_latex(group)}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{end}}}" if group else "")
    grouped = [" & ".join(above) + r" \\", " ".join(filter(None, rules))] if any(rules) else []
    rows = [[_placed(table, cell, _latex, r"\textbf{{{}}}", r"\underline{{{}}}") for cell in row] for row in table.rows]
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{_latex(table.title)}}}",
            rf"\begin{{tabular}}{{{'l' * table.labels}{'r' * (len(table.head) - table.labels)}}}",
            r"\toprule",
            *grouped,
            " & ".join(_latex(_name(head)) for head in table.head) + r" \\",
            r"\midrule",
            *(" & ".join(row) + r" \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            r"\begin{minipage}{\linewidth}\footnotesize",
            *(_latex(note) + r"\par" for note in beneath(table)),
            r"\end{minipage}",
            r"\end{table}",
        ]
    ) + "\n"  # fmt: skip


def html(table: Table) -> str:
    """One ``<table>``, notes in its foot."""
    notes = "<br>".join(map(escape, beneath(table)))
    return bare(table, f'<tfoot><tr><td colspan="{len(table.head)}">{notes}</td></tr></tfoot>')


def bare(table: Table, foot: str = "") -> str:
    """One ``<table>`` without its notes."""
    groups = "".join(f'<th colspan="{span}">{escape(group)}</th>' for group, span in _groups(table))
    heads = "".join(f"<th>{escape(_name(head))}</th>" for head in table.head)
    body = []
    for row in table.rows:
        cells = [_placed(table, cell, escape, "<strong>{}</strong>", "<u>{}</u>") for cell in row]
        labels = "".join(f'<th scope="row">{cell}</th>' for cell in cells[: table.labels])
        body.append(f"<tr>{labels}{''.join(f'<td>{cell}</td>' for cell in cells[table.labels :])}</tr>")
    return "\n".join(
        [
            "<table>",
            f"<caption>{escape(table.title)}</caption>",
            f"<thead>{f'<tr>{groups}</tr>' if _grouped(table) else ''}<tr>{heads}</tr></thead>",
            "<tbody>",
            *body,
            "</tbody>",
            *filter(None, [foot]),
            "</table>",
        ]
    ) + "\n"  # fmt: skip


FORMATS: dict[str, Callable[[Table], str]] = {"text": text, "md": md, "csv": csv, "latex": latex, "html": html}


def beneath(table: Table) -> tuple[str, ...]:
    """The notes, and what bold and underlined mean where a figure is either."""
    ranked = any(table.place(figure) in (1, 2) for figure in table.figures())
    return (LEGEND, *table.notes) if ranked else table.notes


def plain(cell: Cell) -> str:
    """A cell as people read it, without its place: ``.1436 ± .0012*``."""
    if not isinstance(cell, Figure):
        return DASH if cell is None else cell
    show = STYLES[cell.style]
    deviation = "" if cell.deviation is None else f" ± {show(cell.deviation).removeprefix('+')}"
    return show(cell.value) + deviation + cell.mark


def _columns(table: Table) -> dict[str, list[object]]:
    """Heading -> cells, as CSV has them."""
    columns: dict[str, list[object]] = {"table": [table.title] * len(table.rows)}
    for key in table.about[0] if table.about else ():
        columns[key] = [about[key] for about in table.about]
    for head, cells in zip(map(_flat, table.head), zip(*table.rows, strict=True), strict=True):
        name = head.replace(DRY_RUN, f"({MARKS[DRY_RUN]})")
        deviations = [cell.deviation if isinstance(cell, Figure) else None for cell in cells]
        columns[name], marks = map(list, zip(*map(_unmarked, cells), strict=True))
        if any(deviation is not None for deviation in deviations):
            columns[f"{name} deviation"] = [*deviations]
        if any(marks):
            columns[f"{name} mark"] = marks
    return columns


def _unmarked(cell: Cell) -> tuple[object, str]:
    """A number or a name, and what its mark says."""
    if isinstance(cell, Figure):
        return cell.value, MARKS.get(cell.mark, cell.mark)
    name, mark, _ = (cell or "").partition(f" {DRY_RUN}")
    return name, MARKS[DRY_RUN] if mark else ""


def _bare(number: str) -> str:
    """Without the zero before the point."""
    return re.sub(r"^([+-]?)0\.", r"\1.", number)


def _bytes(value: float) -> str:
    unit, name = next(((unit, name) for unit, name in UNITS if value >= unit), (1, "B"))
    return f"{value / unit:.1f} {name}"


STYLES: dict[Style, Callable[[float], str]] = {
    "score": lambda value: _bare(f"{value:.4f}"),
    "percent": lambda value: f"{100 * value:.0f} %",
    "signed": lambda value: f"{100 * value:+z.1f} %",
    "difference": lambda value: _bare(f"{value:+z.4f}"),
    "p": lambda value: "<.0001" if value < 1e-4 else _bare(f"{value:.4f}"),
    "number": lambda value: f"{value:.2f}",
    "seconds": lambda value: f"{value:,.1f}",
    "bytes": _bytes,
    "count": lambda value: f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}",
}


def _placed(table: Table, cell: Cell, escaped: Callable[[str], str], best: str, second: str) -> str:
    place = table.place(cell) if isinstance(cell, Figure) else None
    return {1: best, 2: second}.get(place or 0, "{}").format(escaped(plain(cell)))


def _name(head: str) -> str:
    return head.rpartition("\n")[2]


def _flat(head: str) -> str:
    return head.replace("\n", " ")


def _groups(table: Table) -> Iterator[tuple[str, int]]:
    """Group (empty for none) and how many neighbouring columns stand in it."""
    for group, heads in groupby(table.head, key=lambda head: head.rpartition("\n")[0]):
        yield group, len(list(heads))


def _grouped(table: Table) -> bool:
    return any(group for group, _ in _groups(table))


def _spread(table: Table, widths: list[int]) -> list[str]:
    """The line of groups, centred over their columns, which are widened where they are too narrow."""
    parts, end = [], 0
    for group, span in _groups(table):
        start, end = end, end + span
        wide = sum(widths[start:end]) + len(GAP) * (span - 1)
        widths[end - 1] += max(len(group) - wide, 0)
        parts.append(group.center(max(len(group), wide)))
    return [GAP.join(parts).rstrip()] if _grouped(table) else []


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
