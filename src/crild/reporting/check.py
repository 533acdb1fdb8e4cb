"""The screen of `crild check`."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from crild.data.doctor import ANY_LENGTH, Checks, Finding, listed
from crild.data.suspects import PRINTED, Suspect
from crild.escaping import plain

WIDTH = 80  # columns


def screen(checks: Checks, found: Sequence[Finding], notes: Sequence[str]) -> Table:
    """Return facts, then warnings, then the verdict."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for heading, text in facts(checks).items():
        table.add_row(heading, Text(plain(text)))
    table.add_row("")
    for text in notes:
        table.add_row("note", Text(plain(text)))
    for each in found:
        if each.level == "warning":
            table.add_row(Text("WARNING", style="yellow"), Text(plain(each.text)))
    verdict = next((each.text for each in found if each.level == "hopeless"), None)
    if not found:
        verdict = "nothing wrong was found"
    elif verdict is None:
        verdict = f"{len(found)} warning{'s' if len(found) > 1 else ''}, nothing that forbids a run"
    table.add_row("verdict", Text(plain(verdict)))
    return table


def facts(checks: Checks) -> dict[str, str]:
    """Return what there is to know, by heading."""
    median, longest = checks.words
    out = {
        "task": f"{checks.kind} ({checks.metric})",
        "rows": ", ".join(f"{name} {count}" for name, count in checks.rows.items()),
    }
    labels = listed(checks.labels) if checks.labels else ""
    if checks.numbers:
        n = checks.numbers
        labels = f"{n.lowest:g} to {n.highest:g}, mean {n.mean:.3g}, standard deviation {n.deviation:.3g}"
    unlabelled = f"{checks.unlabelled} without a label" if checks.unlabelled else ""
    out["labels"] = ", ".join(part for part in (labels, unlabelled) if part)
    if checks.constant is not None:
        out["constant"] = f"always the same answer scores {checks.constant:.4f} ({checks.metric}) on validation"
    out["length"] = f"{median} words (median), {longest} (most); {checks.max_length} tokens are kept"
    if checks.cut:
        most = "any number" if checks.cut.longest >= ANY_LENGTH else checks.cut.longest
        out["length"] += f" of {most} that the encoder takes: {checks.cut.share:.1%} of texts are cut"
    out["texts"] = (
        f"{checks.duplicates} repeated in train, {checks.shared} of validation also in train, "
        f"{checks.contradictions} with different labels"
    )
    return out


def suspects_table(suspects: Sequence[Suspect]) -> Table:
    """Return the rows whose labels are most probably wrong."""
    table = Table(
        title=f"{len(suspects)} labels look wrong to a classifier that never saw them; the worst",
        title_justify="left",
        width=WIDTH,
    )
    table.add_column("row", justify="right", no_wrap=True)
    table.add_column("text", no_wrap=True, ratio=1)
    for heading in ("label", "suggested"):
        table.add_column(heading, no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    for each in suspects[:PRINTED]:
        label, suggested, text = (Text(plain(part)) for part in (each.label, each.suggested, each.text))
        table.add_row(str(each.row), text, label, suggested, f"{each.score:.3f}")
    return table
