"""A printed table in Markdown and in LaTeX; HTML is the report's template."""

from __future__ import annotations

import pandas as pd

from distillery.paper.display import Shown
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
        MINUS: r"$-$",
        TIMES: r"$\times$",
        NONE: "--",
    }
)


def markdown(table: Shown) -> str:
    """GitHub Markdown: heading, table, caption."""
    cells = [[_markdown(cell) for cell in row] for row in table.rows]
    frame = pd.DataFrame(cells, columns=[_markdown(column.head) for column in table.columns], dtype=object)
    align = ["right" if column.align == "r" else "left" for column in table.columns]
    body = frame.to_markdown(
        index=False, tablefmt="github", disable_numparse=True, colalign=align if len(frame) else None
    )
    return f"## {table.title}\n\n{body}\n\n{table.caption}\n"


def _markdown(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def latex(table: Shown) -> str:
    """LaTeX with booktabs (`\\usepackage{booktabs,graphicx}`), shrunk to the text width where it is wider."""
    spec = "".join(column.align for column in table.columns)
    lines = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in table.rows]
    head = " & ".join(column.head.translate(_LATEX) for column in table.columns) + r" \\"
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{table.title.translate(_LATEX)}. {table.caption.translate(_LATEX)}}}",
            rf"\label{{tab:{table.name.replace('_', '-')}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            head,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )
