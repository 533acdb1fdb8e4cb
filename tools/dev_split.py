"""Give a folder without a dev split one: ``python -m tools.dev_split ../shared/glue/QQP-part runs/QQP --rows 1000``.

Rows of its train.tsv, drawn with a seed, become dev.tsv; the others stay train.tsv. For grids that tune, which need
rows that no search has seen.
"""

import argparse
from pathlib import Path

import numpy as np

from crild.files import write_whole


def split(lines: list[str], rows: int, seed: int) -> tuple[list[str], list[str]]:
    """Return the lines that stay and those that are split off, each behind the header and in their order."""
    header, *body = lines
    drawn = set(np.random.default_rng(seed).permutation(len(body))[:rows].tolist())
    stay = [line for i, line in enumerate(body) if i not in drawn]
    return [header, *stay], [header, *(body[i] for i in sorted(drawn))]


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    with (options.source / "train.tsv").open(encoding="utf-8", newline="\n") as file:
        lines = list(file)  # a text may hold other signs that `splitlines` takes for ends of lines
    options.target.mkdir(parents=True, exist_ok=True)
    for name, part in zip(("train.tsv", "dev.tsv"), split(lines, options.rows, options.seed), strict=True):
        write_whole(options.target / name, "".join(part))
        print(f"{options.target / name}: {len(part) - 1} rows")


if __name__ == "__main__":
    main()
