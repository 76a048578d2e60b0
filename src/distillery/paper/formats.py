"""A printed table in Markdown and in LaTeX; HTML is the report's template."""

from __future__ import annotations

import pandas as pd

from distillery.paper.display import Body, Column, Shown
from distillery.paper.measures import MINUS, NONE, TIMES

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "±": r"$\pm$",
        "“": "``",
        "”": "''",
        "≤": r"$\le$",
        "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
        MINUS: r"$-$",
        TIMES: r"$\times$",
        NONE: "--",
    }
)


def markdown(table: Shown) -> str:
    """GitHub Markdown: heading, the blocks of rows under headings of their own, caption."""
    blocks = [_markdown_body(body) for body in table.bodies]
    return "\n".join([f"## {table.title}\n", *blocks, f"{table.caption}\n"])


def _markdown_body(body: Body) -> str:
    cells = [[_markdown(cell) for cell in row] for row in body.rows]
    frame = pd.DataFrame(cells, columns=[_markdown(_full_head(column)) for column in body.columns], dtype=object)
    align = ["right" if column.align == "r" else "left" for column in body.columns]
    rows = frame.to_markdown(
        index=False, tablefmt="github", disable_numparse=True, colalign=align if len(frame) else None
    )
    return (f"### {_markdown(body.heading)}\n\n" if body.heading else "") + f"{rows}\n"


def _full_head(column: Column) -> str:
    """The column's head with its group's, for formats without heads over heads."""
    return f"{column.group} {column.head}".strip()


def _markdown(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def latex(table: Shown) -> str:
    """LaTeX with booktabs (`\\usepackage{booktabs,graphicx}`), shrunk to the text width where it is wider."""
    label = table.name.replace("_", "-")
    blocks = []
    for index, body in enumerate(table.bodies):
        heading = f"{table.title}: {body.heading}" if body.heading else table.title
        caption = f"{heading}. {table.caption}" if index == 0 else f"{heading}."
        blocks.append(_latex_body(body, caption, f"tab:{label}" + (f"-{index + 1}" if index else "")))
    return "\n".join(blocks)


def _latex_body(body: Body, caption: str, label: str) -> str:
    spec = "".join(column.align for column in body.columns)
    lines = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in body.rows]
    head = " & ".join(column.head.translate(_LATEX) for column in body.columns) + r" \\"
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption.translate(_LATEX)}}}",
            rf"\label{{{label}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            *_latex_groups(body),
            head,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _latex_groups(body: Body) -> list[str]:
    if not body.groups:
        return []
    cells, rules, place = [], [], 1
    for group, width in body.groups:
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{group.translate(_LATEX)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    return [" & ".join(cells) + r" \\", " ".join(rules)]
