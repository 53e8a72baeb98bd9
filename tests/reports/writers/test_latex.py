"""LaTeX: escaped, and compiled where there is an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from reports.writers.html import html_page
from reports.writers.latex import escape, latex_document, latex_table

ENGINES = {
    "tectonic": ["tectonic", "--only-cached", "report.tex"],
    "pdflatex": ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "report.tex"],
}
TWO_COLUMNS = r"""
\documentclass[twocolumn]{article}
\usepackage[letterpaper,textwidth=6.875in,textheight=8.875in]{geometry}
\usepackage{booktabs,graphicx}
\begin{document}
\input{measured}
\input{wide}
\end{document}
"""


class PageTable(HTMLParser):
    """The table of a page, its words as LaTeX writes them: heading, rows, and the texts around."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[tuple[str, str, str]] = []  # tag, class, text
        self.feed(page.partition("<main>")[2].partition("</main>")[0])
        self.parts = [(tag, name, escape(" ".join(text.split()))) for tag, name, text in self.parts]

    def handle_starttag(self, tag, attrs):
        if tag in ("p", "summary", "tr", "th", "td", "li"):
            self.parts.append((tag, dict(attrs).get("class") or "", ""))

    def handle_data(self, data):
        if self.parts:
            tag, name, text = self.parts[-1]
            self.parts[-1] = tag, name, text + data

    def texts(self, tag, name=""):
        return [text for part, kind, text in self.parts if (part, kind) == (tag, name)]

    @property
    def rows(self):
        """Cells row by row; the best are bold."""
        rows: list[list[str]] = []
        for tag, name, text in self.parts:
            if tag == "tr":
                rows.append([])
            elif tag in ("th", "td"):
                rows[-1].append(rf"\textbf{{{text}}}" if "best" in name.split() else text)
        return rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("a_b & 5% of $3 #1", r"a\_b \& 5\% of \$3 \#1"),
        ("~^|<>", r"$\sim$\textasciicircum{}\textbar{}\textless{}\textgreater{}"),
        ("80.0 ± 0.1", r"80.0 $\pm$ 0.1"),
        ("a---b", "a{-}{-}-b"),
        ("Müller", "Müller"),
        ("模Ж", "U+6A21U+0416"),
        ("[a]*", "{[}a]{*}"),  # at the end of a line they would be arguments of it
        ("\x1b\n\u202e", r"\textbackslash{}x1b \textbackslash{}u202e"),
    ],
)
def test_escape(text, expected):
    assert escape(text) == expected


def test_fragment_is_booktabs_with_the_best_in_bold(table):
    text = latex_table(table)
    assert text.count(r"\midrule") == len(table.groups)
    assert r"\textbf{83.3 $\pm$ 0.1} & \textendash{} \\" in text
    assert r"Proteus (paper)$\dagger$" in text
    assert r"\input" not in text
    assert r"\emph{ViT-B}" in text


def test_a_document_numbers_tables_as_the_page_does(table):
    """The counter is set before a numbered table, and a table without number has a caption without one."""
    later, none = replace(table, number="Table 6"), replace(table, number="", title="Costs")
    text = latex_document([table, later, none])
    assert re.findall(r"setcounter\{table\}\{(\d+)\}", text) == ["0", "5"]
    assert text.count("{\\plaincaptions\n") == 1
    assert text.index("{\\plaincaptions\n") < text.index(r"\caption{Costs. About A\&B.}")


def test_each_cell_is_that_of_the_page(table):
    """Headings, labels, numbers, bold, caption and notes of the fragment against those of the page, one by one."""
    page, text = PageTable(html_page("Page", [table])), latex_table(table)
    heading, *rows = page.rows
    columns = re.findall(r"\\shortstack\[r\]\{(.*)\}", text)
    assert [" ".join(column.split(r"\\")) for column in columns] == heading[2:]
    groups = re.findall(r"\\multicolumn\{4\}\{l\}\{\\emph\{(.*)\}\} \\\\", text)
    body = [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r" \\")]
    assert [row for row in body if len(row) == 4] == [row for row in rows if len(row) == 4]
    assert [[group] for group in groups] == [row for row in rows if len(row) == 1]
    assert f"\\caption{{{escape(table.title)}. {page.texts('p', 'caption')[0]}}}" in text
    assert re.findall(r"(.*)\\par\n", text) == page.texts("li")


def test_document_compiles(table, tmp_path):
    (tmp_path / "report.tex").write_text(latex_document([table, table, replace(table, number="")]), encoding="utf-8")
    assert "Overfull" not in compiled(tmp_path)


def test_fragments_compile_in_a_paper_of_two_columns(table, tmp_path):
    """A table is as wide as the page, so that its letters are not smaller than they must be."""
    wide = replace(
        table,
        columns=table.columns * 4,
        groups=tuple(
            replace(group, rows=tuple(replace(row, cells=row.cells * 4) for row in group.rows))
            for group in table.groups
        ),
    )
    for name, part in {"measured": table, "wide": wide}.items():
        (tmp_path / f"{name}.tex").write_text(latex_table(part), encoding="utf-8")
    (tmp_path / "report.tex").write_text(TWO_COLUMNS.lstrip(), encoding="utf-8")
    assert "Overfull" not in compiled(tmp_path)


def compiled(folder):
    """Compile report.tex of a folder, and return the engine's log."""
    engine = next((command for name, command in ENGINES.items() if shutil.which(name)), None)
    if engine is None:
        pytest.skip("no LaTeX engine (pdflatex or tectonic) is installed")
    done = subprocess.run(engine, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "report.pdf").stat().st_size > 1000
    log = folder / "report.log"
    return log.read_text(errors="replace") if log.is_file() else done.stdout
