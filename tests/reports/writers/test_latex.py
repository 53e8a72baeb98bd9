"""LaTeX: escaped, and compiled where there is an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from reports.writers.latex import escape, latex_document, latex_table

ENGINES = {
    "tectonic": ["tectonic", "--only-cached", "report.tex"],
    "pdflatex": ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "report.tex"],
}


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


def test_document_compiles(table, tmp_path):
    engine = next((command for name, command in ENGINES.items() if shutil.which(name)), None)
    if engine is None:
        pytest.skip("no LaTeX engine (pdflatex or tectonic) is installed")
    (tmp_path / "report.tex").write_text(latex_document([table, table, replace(table, number="")]), encoding="utf-8")
    done = subprocess.run(engine, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "report.pdf").stat().st_size > 1000
    log = tmp_path / "report.log"
    assert not log.is_file() or "Overfull" not in log.read_text(errors="replace")
