"""The report: what it shows of every kind of run, that texts stay texts, how large it is, what it costs."""

import re
from html.parser import HTMLParser

import pytest

import crild
from crild.run.folder import REPORT, RunFolder
from crild.run.report import page
from tests.conftest import complaint
from tests.run.finished import IMAGE, SCRIPT, finished

SECTIONS = ["scores", "training", "answers", "rows", "calibration", "labels", "diagnostics", "made"]


class Read(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.said, self.skipped = [], [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        self.skipped += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.skipped -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.skipped:
            self.said.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.said).split())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with everything: its folder, and its page."""
    run = finished(tmp_path_factory.mktemp("runs") / "whole", diagnosed=True, exported=True)
    return run, page(run)


def test_sections_come_in_order_and_every_figure_has_its_numbers(whole):
    text = whole[1]
    assert re.findall(r'<section id="(\w+)">', text) == SECTIONS
    figures = re.findall(r"<figure>.*?</figure>", text, re.S)
    assert len(figures) > 15
    for each in figures:
        assert each.count('<svg class="plot"') == 1
        assert 'aria-label="' in each
        assert "<title>" in each  # values on hover
        assert each.count("<table") == 1


def test_it_begins_with_what_was_distilled_from_what_and_how_it_went(whole):
    run, text = whole
    said = Read(text).text
    student, teacher = run.result.models["student"], run.result.models["teacher"]
    assert "A student of 3 layers and 12.0 M parameters was distilled with cr-ild from a teacher of 6 layers" in said
    assert f"it scores {student.score:.4f}, its teacher {teacher.score:.4f} (accuracy on 200 held-out rows" in said
    assert "times as fast as its teacher." in said


def test_it_needs_nothing_from_elsewhere(whole):
    text = whole[1]
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", text)
    assert "url(" not in text
    assert "import" not in re.search(r"<style>(.*?)</style>", text, re.S)[1]


def test_everything_that_was_found_out_is_shown(whole):
    said = Read(whole[1]).text
    for what in ("served, onnx int8", "student without teacher", "always the same answer", "Gap at the end: +0.8",
                 "Robustness to noise", "linear CKA", "Linear probes", "Hessian", "Loss surface", "Reliability",
                 "Rows of each label", "Labels that look wrong", "crild distill", "label_noise", "torch"):  # fmt: skip
        assert what in said, what


def test_texts_labels_and_names_stay_text(tmp_path):
    """What would run, or break out of an attribute, is shown as it is."""
    names = (SCRIPT, IMAGE, "plain")
    data = tmp_path / f"{IMAGE}.csv"
    text = page(finished(tmp_path / "run", names=names, texts=(SCRIPT, IMAGE), data=str(data)))
    read = Read(text)
    assert read.tags.count("script") == 1
    assert "img" not in read.tags
    assert not [name for name in read.attributes if name.startswith("on")]
    assert read.text.count(SCRIPT) > 3
    assert read.text.count(IMAGE) > 3
    assert f"{IMAGE}.csv: a student distilled with cr-ild" in read.text


def test_an_equal_student_is_not_worse_by_more_than_nothing(tmp_path):
    said = Read(page(finished(tmp_path / "run", same=True))).text
    assert "The student is not worse than its teacher by more than 0.0 points (95 %)." in said


def test_a_worse_student_is_worse(whole):
    said = Read(whole[1]).text
    assert re.search(r"The student is worse than its teacher, by \d+\.\d to \d+\.\d points \(95 %\)\.", said)


@pytest.mark.parametrize(
    ("kind", "there", "absent"),
    [
        ("regression", ["answer less label", "Held-out rows by label"], ["Reliability", "F1 of each label"]),
        ("multi-label", ["Reliability", "F1 of each label", "mean over labels"], ["Labels that look wrong"]),
    ],
)
def test_of_other_tasks_it_shows_what_there_is(kind, there, absent, tmp_path):
    said = Read(page(finished(tmp_path / "run", kind=kind))).text
    assert not [what for what in there if what not in said]
    assert not [what for what in absent if what in said]


def test_of_many_classes_the_most_frequent_mistakes_are_shown(tmp_path):
    names = [f"class {i}" for i in range(20)]
    said = Read(page(finished(tmp_path / "run", names=names, rows=400))).text
    assert "The most frequent mistakes" in said
    assert "label and answer" not in said


def test_ten_thousand_rows_stay_below_two_megabytes(tmp_path):
    run = finished(
        tmp_path / "run", rows=10_000, texts=("a very long text " * 400,) * 500, diagnosed=True, exported=True
    )
    assert len(page(run).encode()) < 2_000_000


def test_rows_without_labels_are_compared_with_the_teacher(tmp_path):
    run = finished(tmp_path / "run")
    for name in ("predictions", "selection"):
        file = run.path / f"{name}.parquet"
        frame = getattr(run, "predictions" if name == "predictions" else "selection_predictions")
        frame.assign(label=None).to_parquet(file)
    said = Read(page(RunFolder(run.path))).text
    assert "held-out rows differently" in said
    assert "Reliability" not in said


def test_a_page_is_written_again_on_request(cli, tmp_path):
    run = finished(tmp_path / "run")
    code, out, err = cli("report", run.path)
    assert code == 0, err
    assert out.strip() == str(run.path / REPORT)
    before = (run.path / REPORT).read_text()
    assert crild.report(run.path) == run.path / REPORT
    assert (run.path / REPORT).read_text() == before  # the same run, the same bytes


def test_what_is_no_finished_run_is_refused(cli, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    code, _, err = cli("report", tmp_path)
    assert code == 2
    assert "holds no crild run" in complaint(err)
    assert not (tmp_path / REPORT).exists()
