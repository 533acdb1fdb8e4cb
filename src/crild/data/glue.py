"""The GLUE tasks in their official TSV layout, recognised by header (Wang et al. 2019, gluebenchmark.com)."""

from dataclasses import dataclass

from crild.tasks.labels import simple

METRICS = {"CoLA": "matthews", "MRPC": "accuracy_f1", "QQP": "accuracy_f1", "STS-B": "pearson_spearman"}
USUAL_LENGTH = 128  # tokens kept of a row, where nobody says
SHORT = {"CoLA", "SST-2"}  # tasks whose maximum length is 64 tokens instead


@dataclass(frozen=True)
class GlueTask:
    """Where a task keeps its texts and labels.

    Attributes:
        name: as GLUE writes it.
        text, pair, label: column names.
        labels: label names in GLUE's order; ``None`` for regression.
        coded: the files hold the labels' numbers, not their names.
        folder: recognised only in a folder of the task's name, because the header is an everyday one.
    """

    name: str
    text: str
    pair: str | None
    label: str
    labels: tuple[str, ...] | None
    coded: bool = False
    folder: bool = False

    @property
    def metric(self) -> str:
        """The task's metric (`method.md` 7)."""
        return METRICS.get(self.name, "accuracy")

    @property
    def max_length(self) -> int:
        """Tokens kept of a row (`method.md` 3)."""
        return 64 if self.name in SHORT else USUAL_LENGTH


COLA = GlueTask("CoLA", "sentence", None, "label", ("unacceptable", "acceptable"), coded=True)
COLA_COLUMNS = ["source", "label", "star", "sentence"]  # the files have no header

NLI = ("entailment", "not_entailment")
TASKS = (
    GlueTask("MRPC", "#1 String", "#2 String", "Quality", ("not_equivalent", "equivalent"), coded=True),
    GlueTask("QQP", "question1", "question2", "is_duplicate", ("not_duplicate", "duplicate"), coded=True),
    GlueTask("STS-B", "sentence1", "sentence2", "score", None),
    GlueTask("MNLI", "sentence1", "sentence2", "gold_label", ("entailment", "neutral", "contradiction")),
    GlueTask("QNLI", "question", "sentence", "label", NLI, folder=True),
    GlueTask("RTE", "sentence1", "sentence2", "label", NLI, folder=True),
    GlueTask("SST-2", "sentence", None, "label", ("negative", "positive"), coded=True, folder=True),
)
# Columns that, beside a task's own, make its header unmistakable.
MARKS = {
    "MRPC": {"#1 ID", "#2 ID"},
    "QQP": {"qid1", "qid2"},
    "STS-B": {"genre", "old_index"},
    "MNLI": {"promptID", "pairID"},
    "QNLI": {"index"},
    "RTE": {"index"},
    "SST-2": set(),
}


def is_cola(first_row: list[str]) -> bool:
    """Whether a file's first row looks like CoLA's: source, 0 or 1, star or nothing, sentence; no header."""
    return len(first_row) == 4 and first_row[1] in ("0", "1") and first_row[2] in ("", "*")


def recognise(columns: list[str], folder: str) -> GlueTask | None:
    """Return the task with these columns.

    Args:
        columns: the header.
        folder: name of the folder that the file lies in.
    """
    if columns == COLA_COLUMNS:
        return COLA
    for task in TASKS:
        wanted = {c for c in (task.text, task.pair, task.label) if c} | MARKS[task.name]
        if wanted <= set(columns) and (not task.folder or simple(folder).startswith(simple(task.name))):
            return task
    return None
