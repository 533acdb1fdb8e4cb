"""GLUE's official layout, all eight tasks."""

import pytest

from tests.data.files import load, write

PADDING = [[f"filler {i}", f"other {i}"] for i in range(12)]


def glue_folder(root, name):
    """Write a task as GLUE ships it, with stray quotation marks, which are not quoting there."""
    pairs = [['He said "no', 'the "end'], *PADDING]
    if name == "CoLA":
        lines = [f"gj04\t{i % 2}\t{'*' if i % 2 == 0 else ''}\t{a} {b}" for i, (a, b) in enumerate(pairs)]
    elif name == "SST-2":
        lines = ["sentence\tlabel", *(f"{a} {b} \t{i % 2}" for i, (a, b) in enumerate(pairs))]
    elif name == "MRPC":
        lines = ["\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        lines += [f"{i % 2}\t{i}\t{i + 100}\t{a}\t{b}" for i, (a, b) in enumerate(pairs)]
    elif name == "QQP":
        lines = ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "1\t2\t3\tbroken"]
        lines += [f"{i}\t{i}\t{i}\t{a}\t{b}\t{i % 2}" for i, (a, b) in enumerate(pairs)]
    elif name == "STS-B":
        lines = ["index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore"]
        lines += [f"{i}\tnews\tf\t2012\t{i}\tnone\tnone\t{a}\t{b}\t{i % 5}.250" for i, (a, b) in enumerate(pairs)]
    elif name == "MNLI":
        lines = ["index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse"
                 "\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label"]  # fmt: skip
        names = ("neutral", "contradiction", "entailment")
        lines += [f"{i}\t1\t2\tg\tp\tp\tp\tp\t{a}\t{b}\tx\t{names[i % 3]}" for i, (a, b) in enumerate(pairs)]
    else:
        first, second = ("question", "sentence") if name == "QNLI" else ("sentence1", "sentence2")
        lines = [f"index\t{first}\t{second}\tlabel"]
        names = ("not_entailment", "entailment")
        lines += [f"{i}\t{a}\t{b}\t{names[i % 2]}" for i, (a, b) in enumerate(pairs)]
    folder = root / name
    for split in ("train", "dev_matched", "dev_mismatched") if name == "MNLI" else ("train", "dev"):
        write(folder / f"{split}.tsv", *lines)
    write(folder / "test.tsv", "index\tsentence", "0\tno label here")
    return folder


EXPECTED = {
    "CoLA": ("matthews", ["unacceptable", "acceptable"], 64),
    "SST-2": ("accuracy", ["negative", "positive"], 64),
    "MRPC": ("accuracy_f1", ["not_equivalent", "equivalent"], 128),
    "QQP": ("accuracy_f1", ["not_duplicate", "duplicate"], 128),
    "STS-B": ("pearson_spearman", [], 128),
    "MNLI": ("accuracy", ["entailment", "neutral", "contradiction"], 128),
    "QNLI": ("accuracy", ["entailment", "not_entailment"], 128),
    "RTE": ("accuracy", ["entailment", "not_entailment"], 128),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_glue_layout(name, tmp_path):
    task = load(glue_folder(tmp_path, name))
    metric, names, length = EXPECTED[name]
    assert (task.name, task.metric, task.names, task.max_length) == (name, metric, names, length)
    assert len(task.train) + len(task.selection) == 13
    texts = task.validation[next(iter(task.validation))]
    first = texts[0]
    both = first["text"] + " " + first.get("text_pair", "")
    assert both.startswith('He said "no the "end')
    assert ("text_pair" in texts.column_names) == (name not in ("CoLA", "SST-2"))
    assert list(task.validation) == (["dev_matched", "dev_mismatched"] if name == "MNLI" else ["dev"])
    row = 1
    raw = {"STS-B": 1.25, "MNLI": 2.0, "QNLI": 0.0, "RTE": 0.0}.get(name, 1.0)
    assert texts[row]["labels"] == raw
    if name == "QQP":
        assert any("1 rows dropped" in note for note in task.notes)


@pytest.mark.needs_shared
@pytest.mark.parametrize(
    ("name", "rows", "validation"),
    [("CoLA", 8551, 1043), ("MRPC", 3668, 408), ("RTE", 2490, 277), ("STS-B", 5749, 1500), ("SST-2", 67349, 872)],
)
def test_real_glue(name, rows, validation, glue):
    lines = {s: (glue / name / f"{s}.tsv").read_text("utf-8-sig").rstrip("\n").count("\n") for s in ("train", "dev")}
    task = load(glue / name)
    header = 0 if name == "CoLA" else 1
    assert len(task.validation["dev"]) == lines["dev"] + 1 - header
    assert len(task.train) + len(task.selection) <= lines["train"] + 1 - header
    assert len(task.train) + len(task.selection) >= 0.99 * rows
    assert task.name == name
