"""What a run costs by rows: seconds until it trains, and the most memory, for 1,000 to 1,000,000 rows.

A tiny teacher (2 layers, width 32) teaches its first layer on made-up texts of 11 words, so that what is measured is
what crild does with rows, not the models. Each size has three runs, each a process of its own:

* *cold*: CR-ILD, a few steps; no text was tokenised before.
* *warm*: the same again; the tokenised rows are on disk.
* *epoch*: plain KD over every row once; the teacher's answers to all of them are a column of the rows.

Seconds are from the start of the process, those of its processors beside them: what another process on the machine
takes away is in the former alone. Memory is what the system says was there at most (Linux: ``VmHWM``), with the pages
of files, which the system may take back; on one core no other process tokenises. Sizes that are not asked for are kept.

    python -m benchmarks.scale [ROWS ...] [--output benchmarks/results/scale.json]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil

from crild.files import write_whole
from crild.run.folder import environment

ROWS = (1_000, 10_000, 100_000, 1_000_000)
FIXED = {"student": "1", "control": False, "precision": "fp32", "preset": "quick"}
RUNS: dict[str, dict[str, Any]] = {
    "cold": {"method": "cr-ild", "max_steps": 4},
    "warm": {"method": "cr-ild", "max_steps": 4},
    "epoch": {"method": "kd", "kd_epochs": 1, "kd_batch_size": 1000},
}
FIGURES = {
    "until the first step, nothing tokenised (s)": ("cold", "start"),
    "the same, tokenised before (s)": ("warm", "start"),
    "a whole run of one epoch (s)": ("epoch", "seconds"),
    "most memory, nothing tokenised (MB)": ("cold", "mb"),
    "the same, tokenised before (MB)": ("warm", "mb"),
    "a whole run of one epoch (MB)": ("epoch", "mb"),
}
WORDS = [f"word{i}" for i in range(5_000)]
WIDTHS = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
OF_CPU = {"start": "start_cpu", "seconds": "cpu"}


def write_rows(path: Path, rows: int) -> None:
    """Write rows of 5 to 17 words, no two alike, whose label is decided by one of them."""
    rng = random.Random(0)
    with path.open("w") as file:
        file.write("text,label\n")
        for number in range(rows):
            side = rng.randrange(2)
            text = rng.choices(WORDS, k=rng.randint(3, 15))
            file.write(f"row{number} {' '.join(text)} {('bad', 'good')[side]},{('no', 'yes')[side]}\n")


def run(folder: Path, name: str) -> dict[str, float]:
    """Run one of `RUNS` in this process.

    Returns:
        ``start``, the seconds until the first training step, and ``start_cpu``, those of the processors; ``seconds``
        and ``cpu``, to the end; ``mb``, the most memory.
    """
    from transformers import TrainerCallback

    import crild

    process, found = psutil.Process(), {}

    def clocks() -> tuple[float, float]:
        return time.time() - process.create_time(), sum(process.cpu_times()[:4])

    class First(TrainerCallback):
        def on_step_begin(self, *arguments: Any, **options: Any) -> None:
            if "start" not in found:
                found["start"], found["start_cpu"] = clocks()

    paths = {"teacher": str(folder / "teacher"), "data": str(folder / "rows.csv"), "output": str(folder / name)}
    crild.distill(callbacks=[First()], **paths, **FIXED, **RUNS[name])
    found["seconds"], found["cpu"] = clocks()
    found["mb"] = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return {name: round(each, 1) for name, each in found.items()}


def measure(rows: int) -> dict[str, dict[str, float]]:
    """Return what each of `RUNS` takes over so many rows, each in a process of its own."""
    from tests.tiny import save_tiny

    with TemporaryDirectory(prefix="crild-") as name:
        folder = Path(name)
        write_rows(folder / "rows.csv", rows)
        save_tiny(
            folder / "teacher", head=True, words=["good", "bad", *WORDS], layers=2, labels=("no", "yes"), **WIDTHS
        )
        found = {}
        for each in RUNS:
            command = [sys.executable, "-m", "benchmarks.scale", "--inside", str(folder), each]
            cache = os.environ | {"HF_DATASETS_CACHE": str(folder / "cache")}
            out = subprocess.run(command, env=cache, stdout=subprocess.PIPE, text=True, check=True).stdout
            found[each] = json.loads(out.splitlines()[-1])
            print(rows, each, found[each], flush=True)
        return found


def exponent(sizes: dict[int, float]) -> float | None:
    """Return k of a figure that is a + b * rows^k, with a the figure of the fewest rows; ``None`` of fewer than 3."""
    fewest = min(sizes)
    points = [(rows, value - sizes[fewest]) for rows, value in sizes.items() if value > sizes[fewest]]
    if len(points) < 2:
        return None
    rows, values = np.log(np.array(points)).T
    return round(float(np.polyfit(rows, values, 1)[0]), 2)


def by_size(result: dict[str, Any], run: str, figure: str) -> dict[int, float]:
    """Return a figure of a run, by rows."""
    return {int(rows): found[run][figure] for rows, found in result["rows"].items()}


def markdown(result: dict[str, Any]) -> str:
    """Return the page beside the JSON file."""
    machine, sizes = result["machine"], sorted(map(int, result["rows"]))
    lines = [
        "# What a run costs by rows",
        "",
        f"Written by `python -m benchmarks.scale` ({machine['processor']}, {machine['threads']} threads): a teacher of "
        "2 layers and width 32, so that what is measured is what crild does with rows. In brackets the seconds of the "
        "processor: what other processes on the machine took away is not among them. The exponent k is of what comes "
        f"to the figure of {sizes[0]:,} rows: it grows as rows^k.",
        "",
        f"| rows | {' | '.join(f'{rows:,}' for rows in sizes)} | k |",
        f"| --- |{' ---: |' * (len(sizes) + 1)}",
    ]
    for title, (run, figure) in FIGURES.items():
        values, cpu = by_size(result, run, figure), OF_CPU.get(figure)
        inner = by_size(result, run, cpu) if cpu else {}
        cells = [f"{values[rows]:,.0f}" + (f" ({inner[rows]:,.0f})" if cpu else "") for rows in sizes]
        power = result["exponents"][title]
        lines.append(f"| {title} | {' | '.join(cells)} | {'' if power is None else power} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=lambda text: int(float(text)), default=list(ROWS))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/scale.json"))
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(run(Path(options.inside[0]), options.inside[1])))
        return
    known = json.loads(options.output.read_text())["rows"] if options.output.exists() else {}
    for rows in options.rows:
        known[str(rows)] = measure(rows)
        result: dict[str, Any] = {"rows": dict(sorted(known.items(), key=lambda item: int(item[0])))}
        result["exponents"] = {
            title: exponent(by_size(result, name, OF_CPU.get(figure, figure)))
            for title, (name, figure) in FIGURES.items()
        }
        result |= environment()
        write_whole(options.output, json.dumps(result, indent=1) + "\n")
        write_whole(options.output.with_suffix(".md"), markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
