"""Write docs/results.md and docs/results/ from the committed result files in results/: ``make results``."""

import json
from pathlib import Path

from crild.compare.formats import html, markdown
from crild.compare.table import Summary, summarise

ROOT = Path(__file__).resolve().parents[1]
INTRODUCTION = """# Results

Written by `make results` from the files in [`results/`](../results), byte for byte. Each is the `results.json` of a
grid in [`experiments/`](../experiments): `crild compare experiments/NAME.yaml --output DIR`.
"""


def read(path: Path) -> Summary:
    """Return the table of one result file."""
    contents = json.loads(path.read_text(encoding="utf-8"))
    return summarise(contents["runs"], contents["claim"], contents["reference"], contents["methods"])


def pages() -> dict[str, str]:
    """Return every page by its path below docs/."""
    out: dict[str, str] = {}
    lines = [INTRODUCTION]
    for path in sorted((ROOT / "results").glob("*.json")):
        summary = read(path)
        out |= {f"results/{path.stem}.md": markdown(summary), f"results/{path.stem}.html": html(summary)}
        lines.append(f"- [{path.stem}](results/{path.stem}.md) ([sortable](results/{path.stem}.html)): {summary.claim}")
    return {"results.md": "\n".join(lines) + "\n", **out}


if __name__ == "__main__":
    (ROOT / "docs" / "results").mkdir(exist_ok=True)
    for name, text in pages().items():
        (ROOT / "docs" / name).write_text(text, encoding="utf-8")
    print(f"{len(pages())} pages")
