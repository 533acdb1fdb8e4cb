"""Tables in every format: nothing is cut, text stays text."""

import csv
import io
import json
import random
import re
from html.parser import HTMLParser

import pytest

from crild.grid.formats import csv_cell, csv_text, escape_latex, latex, markdown
from crild.grid.page import html, write_all
from crild.grid.table import summarise
from tests.grid.records import CLAIM, FIVE, METHODS, grid, rows, several, shown


def unescaped(text):
    return text.replace("&lt;", "<").replace(r"\textless{}", "<")


def test_pairs_told_apart_are_listed():
    summary = summarise(grid(FIVE), CLAIM, "cr-ild", METHODS)
    for text in (shown(summary), markdown(summary), latex(summary), html(summary)):
        assert re.search(
            r"cr-ild over ft \(\+0.1000, adjusted p \S+\), kd \(\+0.0300, adjusted p 0.0\d+\)", unescaped(text)
        )
        assert re.search(r"kd over ft \(\+0.0700, adjusted p", text)
    equal = dict.fromkeys(METHODS, FIVE["kd"])
    assert "Pairs told apart: none." in markdown(summarise(grid(equal), "", "cr-ild", METHODS))


def test_the_same_bytes_in_any_order(tmp_path):
    records = several()
    random.Random(0).shuffle(records)
    later = [r | {"started": "2030", "minutes": 9.0, "latency_ms": 7.0} for r in records]
    for name, these in (("a", several()), ("b", records), ("c", later)):
        (tmp_path / name).mkdir()
        write_all(summarise(these, CLAIM, "cr-ild", METHODS), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["table.csv", "table.html", "table.md", "table.tex"]
    for name in files:
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()
        assert b"2025" not in first
        assert b"runs/" not in first


NASTY = "<img src=x onerror=alert(1)>&\"'|\n`*_[x](y) ~^\\%$#{}"


@pytest.fixture
def nasty():
    """Hostile text as task, condition, method, claim, metric and error."""
    records = [
        r | {"task": NASTY, "condition": NASTY, "metric": NASTY, "error": NASTY if r["status"] == "failed" else None}
        | ({"method": NASTY} if r["method"] == "kd" else {})
        for r in grid({m: [*own, "x"] for m, own in FIVE.items()})
    ]  # fmt: skip
    return summarise([*records, *grid(FIVE)], NASTY, NASTY, [NASTY, "cr-ild", "ft"])


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_html_shows_text_as_text(nasty):
    text = html(nasty)
    page = Page(text)
    assert "img" not in {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count("<img src=x onerror=alert(1)>&\"'| `*_[x](y) ~^\\%$#{}") > 10
    assert not [a for _, a in page.tags if "src" in a or not a.get("href", "#").startswith("#")]
    assert not re.search(r"https?:|@import|url\(", text)
    assert text.startswith("<!DOCTYPE html>")


def test_html_has_every_detail():
    page = Page(html(summarise(several(), CLAIM, "cr-ild", METHODS)))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("section") == 5  # the overview and four blocks
    assert tags.count("details") == 9  # scores and pairs of each, and average ranks
    assert {a["aria-sort"] for tag, a in page.tags if "aria-sort" in a} == {"none"}
    assert "0.8300 ± 0.0158" in page.text
    assert "90.2%" in page.text
    assert "0.83" in [a.get("data-value") for _, a in page.tags]


def test_markdown_cells_hold(nasty):
    lines = markdown(nasty).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in tables}
    assert widths == {9, 5}  # blocks of 8 columns, an overview of 4
    escaped = "&lt;img src=x onerror=alert(1)&gt;&amp;\"'\\| \\`\\*\\_\\[x\\](y) \\~^\\\\%\\$\\#{}"
    assert f"## {escaped}, {escaped}" in lines
    assert "<img" not in markdown(nasty)


def test_latex_is_escaped(nasty):
    assert escape_latex(NASTY) == (
        r"\textless{}img src=x onerror=alert(1)\textgreater{}\&'''\textbar{} \textasciigrave{}{*}\_{[}x{]}(y) "
        r"\textasciitilde{}\textasciicircum{}\textbackslash{}\%\$\#\{\}"
    )
    text = latex(nasty)
    assert len(re.findall(r"(?<!\\)\\begin\{table\}", text)) == 3
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 3
    assert r"$\pm$" in text
    assert r"$-$0.0300" in latex(summarise(grid(FIVE), CLAIM, "cr-ild", METHODS))
    for line in text.splitlines():
        if line.endswith(r" \\"):
            assert len(re.findall(r"(?<!\\)&", line)) in (3, 7)
            assert not line.strip().startswith("[")


def test_csv_is_whole(nasty):
    lines = list(csv.DictReader(io.StringIO(csv_text(nasty))))
    assert len(lines) == 10  # two blocks; teacher, control, two methods of the grid, one that only has runs
    assert {line["task"] for line in lines} == {"RTE", "<img src=x onerror=alert(1)>&\"'| `*_[x](y) ~^\\%$#{}"}
    summary = summarise(grid(FIVE), CLAIM, "cr-ild", METHODS)
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(csv_text(summary)))}
    row = rows(summary)["cr-ild"]
    assert (float(lines["cr-ild"]["mean"]), float(lines["cr-ild"]["deviation"])) == (row.mean, row.deviation)
    assert (lines["cr-ild"]["difference"], lines["cr-ild"]["p"]) == ("", "")
    assert lines["cr-ild"]["scores"].startswith("seed 1: 0.81; seed 2: 0.82")
    assert lines["teacher"]["average_rank"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+ema", "-x", "@SUM(A1)", "\t=1", "\r\n=1"])
def test_csv_runs_no_formula(text):
    assert csv_cell(text)[0] == "'"
    assert csv_cell(-0.25) == -0.25  # a number stays one


def test_terminal_of_80_characters_cuts_nothing():
    long = {"cr-ild-as-released-by-the-authors": "cr-ild", "a-method-of-a-long-name": "kd"}
    renamed = [r | {"method": new} for r in grid(FIVE) for new, old in long.items() if r["method"] == old]
    rest = [r for r in grid(FIVE) if r["method"] in ("teacher", "ft")]
    records = [r | {"best_validation": 0.9, "metric": "pearson_spearman"} for r in [*rest, *renamed]]
    first = next(iter(long))
    text = shown(summarise(records, "", first, list(long)), 80)
    assert max(map(len, text.splitlines())) <= 80
    lines = [line.split() for line in text.splitlines()[:20]]
    assert {"-0.0300", "-0.1000"} <= {word for line in lines for word in line}
    assert sum("worse" in line for line in lines) == 2  # the verdict of two methods
    assert sum("reference" in line for line in lines) == 1


def test_terminal_reads_no_markup():
    records = [r | {"task": "[red]x[/nothing] :smile: \x1b[31m"} for r in grid(FIVE)]
    text = shown(summarise(records, "[bold]", "cr-ild", METHODS), 200)
    assert "[red]x[/nothing] :smile: [31m, full" in text
    assert "Claim: [bold]" in text
    assert "\x1b" not in text


def test_settings_found_are_a_table_in_every_format(tmp_path):
    ran = {
        "task": NASTY,
        "condition": "full",
        "method": "kd",
        "trials": 12,
        "pruned": 5,
        "minutes": 8.25,
        "score": 0.71,
    }
    tunings = [ran | {"settings": {"kd_learning_rate": 1.234e-4, "keep": "last"}},
               {"task": "RTE", "condition": "full", "method": "=ft", "trials": 12, "error": NASTY}]  # fmt: skip
    summary = summarise(grid(FIVE), CLAIM, "cr-ild", METHODS, tunings)
    for text in (shown(summary), markdown(summary), html(summary), latex(summary).replace(r"\_", "_")):
        assert "Settings found" in text
        for part in ("0.7100", "12", "5", "8.2", "0.000123, keep last", "failed: "):
            assert part in text
        assert "kd_learning_rate" in text.replace(r"\_", "_")
    assert "img" not in {tag for tag, _ in Page(html(summary)).tags}
    lines = list(csv.DictReader(io.StringIO((write_all(summary, tmp_path)[-1]).read_text())))
    assert [line["method"] for line in lines] == ["kd", "'=ft"] or [line["method"] for line in lines] == ["'=ft", "kd"]
    (kd,) = [line for line in lines if line["method"] == "kd"]
    assert json.loads(kd["settings"]) == tunings[0]["settings"]
    assert "settings.csv" not in [path.name for path in write_all(summarise(grid(FIVE), "", "kd", METHODS), tmp_path)]


def test_the_constant_answer_takes_no_run():
    summary = summarise([r | {"constant": 0.6} for r in grid(FIVE)], CLAIM, "cr-ild", METHODS)
    assert r"| constant answer (always the same) | - | 0.6000 | 65.2% |" in markdown(summary)
    assert '<tr class="constant">' in html(summary)
