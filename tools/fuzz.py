"""Fuzz `crild`: files of every kind that it reads, broken at random; it must end with 0, or with 2 and one line.

    python -m tools.fuzz --seconds 300

Every case runs in a process of its own, in which it may neither crash nor take longer than `LIMIT`. A case that fails
is kept, with the command that shows it, and the exit code is 1.
"""

import argparse
import gc
import io
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update({"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"})

LIMIT = 60  # seconds of a case
MOST_KEPT = 20  # failures
WORDS = ("good", "bad", "film", "plot", "the", "a", "was", "very", "not", "fine")
TOKENS = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"', b"'", b"\n", b"\r", b"\t", b",", b";", b"{", b"}", b"[",
    b"]", b":", b"NaN", b"Infinity", b"null", b"-1", b"0", b"9" * 400, b"1e999", b"\\ud800", b"&a ", b"*a", b"!!int ",
    b"../", b"%s", b"\xf0\x9f\x99\x82", b"\x1b[31m", b"[" * 2000, b" " * 1000, b"true", b"<|>",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 7, 2**31, 2**63, 10**30, -0.5, 1e308, float("nan"), float("inf"), "", "\0", "x",
    "🙂" * 50, "../../x", "/dev/null", [], {}, [[]], [None], ["a", 1], {"a": {"b": []}}, "NaN", "1", "float32",
)  # fmt: skip


# ---- what is broken ----


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Change some bytes."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        out[rng.randrange(len(out))] = rng.randrange(256)
    return bytes(out)


def shortened(data: bytes, rng: random.Random) -> bytes:
    """Leave the end out, or a part."""
    start, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:start] if rng.random() < 0.5 else data[:start] + data[end:]


def lengthened(data: bytes, rng: random.Random) -> bytes:
    """Put something in, or a part twice."""
    place = rng.randrange(len(data) + 1)
    start, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:place] + (rng.choice(TOKENS) if rng.random() < 0.7 else data[start:end]) + data[place:]


def changed(value: Any, rng: random.Random) -> Any:
    """Change one place of nested plain values."""
    if isinstance(value, dict | list) and value and rng.random() < 0.9:
        copy: Any = dict(value) if isinstance(value, dict) else list(value)
        key = rng.choice(list(copy)) if isinstance(copy, dict) else rng.randrange(len(copy))
        what = rng.random()
        if what < 0.15:
            del copy[key]
        elif what < 0.25 and isinstance(copy, dict):
            copy[rng.choice(("", "x", "../x", "\0", "0"))] = copy.pop(key)
        elif what < 0.35 and isinstance(copy, list):
            copy.append(copy[key])
        else:
            copy[key] = changed(copy[key], rng)
        return copy
    return rng.choice(VALUES)


def restructured(data: bytes, rng: random.Random) -> bytes:
    """Change a place of a JSON file, or of a line of a JSONL one."""
    lines = data.decode().split("\n") if data.count(b"\n{") else [data.decode()]
    place = rng.randrange(len(lines))
    lines[place] = json.dumps(changed(json.loads(lines[place] or "{}"), rng))
    return "\n".join(lines).encode()


def reheaded(data: bytes, rng: random.Random) -> bytes:
    """Change a place of the header of a safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.dumps(changed(json.loads(data[8 : 8 + length]), rng)).encode()
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


Breaker = Callable[[bytes, random.Random], bytes]
BYTES: tuple[Breaker, ...] = (flipped, shortened, lengthened)
BREAKERS: dict[str, tuple[Breaker, ...]] = {
    ".json": (*BYTES, restructured, restructured, restructured),
    ".jsonl": (*BYTES, restructured, restructured, restructured),
    ".safetensors": (*BYTES, reheaded, reheaded),
}


def broken(path: Path, rng: random.Random) -> bytes:
    """Return what a file holds, broken once or more often."""
    data = path.read_bytes()
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        try:
            data = rng.choice(BREAKERS.get(path.suffix, BYTES))(data or b"x", rng)
        except (ValueError, RecursionError, struct.error):  # broken too much to be read
            break
    return data


# ---- what is run ----


@dataclass(frozen=True)
class Target:
    """Something that a command reads.

    Attributes:
        source: a file, or a folder of which one file is broken.
        files: of a folder: which; a file's own name else.
        commands: each a list of words, with ``{}`` for the broken thing and ``{out}`` for an output.
    """

    source: Path
    files: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]


def make_world(folder: Path) -> list[Target]:
    """Write small sound files of every kind, and return what can be broken."""
    import pandas as pd

    from crild.cli import main
    from tests.tiny import save_tiny

    rng = random.Random(0)
    rows = [{"text": " ".join(rng.choices(WORDS, k=6)), "label": rng.choice(("neg", "pos"))} for _ in range(60)]
    frame = pd.DataFrame(rows)
    data = folder / "data"
    data.mkdir()
    frame.to_csv(data / "d.csv", index=False)
    frame.to_csv(data / "d.tsv", index=False, sep="\t")
    frame.to_parquet(data / "d.parquet")
    (data / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (data / "d.json").write_text(json.dumps(rows))
    (data / "d.txt").write_text("\n".join(row["text"] for row in rows))
    sizes: dict[str, Any] = {
        "hidden_size": 8,
        "num_attention_heads": 2,
        "intermediate_size": 8,
        "max_position_embeddings": 32,
    }
    save_tiny(folder / "model", head=True, words=WORDS, layers=2, **sizes)
    csv, base = str(data / "d.csv"), str(folder / "model")
    made = ["finetune", "--base", base, "--data", csv, "--max-steps", "1", "--output", str(folder / "run")]
    with redirect_stderr(io.StringIO()) as said, redirect_stdout(io.StringIO()):
        if main(made):
            raise SystemExit(said.getvalue())
    (data / "run.yaml").write_text(
        f"teacher: {base}\ndata: {csv}\nstudent: 1\nepochs: 2\nseed: 3\nlabel_map: neg=neg,pos=pos\nkeep: best\n"
        "ild-learning-rate: 1e-4\ninterpolate: true\n"
    )
    (data / "grid.yaml").write_text(
        f"claim: none\ntasks:\n  films: {csv}\nmethods: [cr-ild, {{slow: {{method: kd, temperature: 3}}}}]\n"
        f"conditions: {{full: {{}}, few: {{train_rows: 20}}}}\nseeds: [1, 2]\noptions: {{base: {base}, student: 1}}\n"
        "tune: {trials: 2, search: {temperature: [1, 2]}}\n"
    )
    reads = (
        ("check", "{}"),
        ("predict", base, "--data", "{}", "--output", "{out}.csv"),
        ("distill", "--teacher", base, "--data", "{}", "--student", "1", "--output", "{out}", "--dry-run"),
    )
    scores = (("evaluate", "{}", "--data", csv), ("distill", "--teacher", "{}", "--data", csv, "--student", "1",
                                                  "--output", "{out}", "--dry-run"))  # fmt: skip
    runs = (("diagnose", "{}", "--budget", "1", "--rows", "8"), ("evaluate", "{}", "--data", csv))
    return [
        *(Target(path, (path.name,), reads) for path in sorted(data.glob("d.*"))),
        Target(data / "run.yaml", ("run.yaml",), (("distill", "--config", "{}", "--output", "{out}", "--dry-run"),)),
        Target(data / "grid.yaml", ("grid.yaml",), (("compare", "{}", "--dry-run"),)),
        *(
            Target(folder / "model", (name,), scores)
            for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
        ),
        Target(folder / "run", ("result.json", "plan.json", "config.yaml", "run.json", "predictions.parquet"), runs),
    ]


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, what it said on stderr, and what is wrong with that, if anything."""

    code: int
    said: str
    wrong: str


def call(arguments: Sequence[str], output: Path) -> Outcome:
    """Run the command line in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # it never returns from here
        os.close(read)
        signal.alarm(LIMIT)
        with redirect_stderr(io.StringIO()) as said, redirect_stdout(io.StringIO()):
            try:
                from crild.cli import main

                code = main(arguments)
            except BaseException:
                import traceback

                code = 1
                traceback.print_exc()
        with os.fdopen(write, "w", errors="replace") as out:
            out.write(f"{code}\n{said.getvalue()}")
        os._exit(0)
    os.close(write)
    with os.fdopen(read, errors="replace") as answer:
        ended, _, said_there = answer.read().partition("\n")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        return Outcome(status, said_there, f"ended by signal {-status} (of a hang: {signal.SIGALRM.value})")
    return judged(int(ended), said_there, output)


def judged(code: int, said: str, output: Path) -> Outcome:
    """Return an outcome with what is wrong with it."""
    lines = [line for line in said.splitlines() if line.startswith("crild: error: ")]
    wrong = ""
    if code not in (0, 2):
        wrong = f"exit code {code}"
    elif "Traceback" in said:
        wrong = "a traceback"
    elif code == 2 and (len(lines) != 1 or not said.rstrip("\n").endswith(lines[0])):
        wrong = f"{len(lines)} lines of an error"
    elif code == 2 and list(output.parent.glob(f"{output.name}*")):
        wrong = "something was written"
    return Outcome(code, said, wrong)


def fuzz(
    folder: Path, seconds: float, seed: int, keep: Path, most: int | None = None
) -> tuple[Counter[str], list[str]]:
    """Break files and run commands on them.

    Args:
        folder: for all that is written.
        seconds: that it may take.
        seed: of what is broken.
        keep: where cases that fail are kept.
        most: cases, if it is not to use all of its seconds.

    Returns:
        How many commands ended how, and the failures.
    """
    targets = make_world(folder)
    gc.collect()
    gc.freeze()  # what is shared with the cases' processes stays shared
    rng, counts = random.Random(seed), Counter[str]()
    failures: list[str] = []
    for target in targets:  # or nothing would be found but what is wrong with the command
        for words in target.commands:
            output = folder / "sound"
            places = {"{}": str(target.source), "{out}": str(output), "{out}.csv": f"{output}.csv"}
            found = call([places.get(word, word) for word in words], output)
            if found.code:
                failures.append(f"sound files: {' '.join(words)} {target.source}\n{found.said}")
            Path(f"{output}.csv").unlink(missing_ok=True)
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end and (most is None or number < most) and len(failures) < MOST_KEPT:
        number += 1
        target = rng.choice(targets)
        name, words = rng.choice(target.files), rng.choice(target.commands)
        case, output = folder / f"case{number}", folder / f"out{number}"
        case.mkdir()
        thing = case / target.source.name
        (shutil.copytree if target.source.is_dir() else shutil.copy)(target.source, thing)
        file = thing / name if target.source.is_dir() else thing
        file.write_bytes(broken(file, rng))
        places = {"{}": str(thing), "{out}": str(output), "{out}.csv": f"{output}.csv"}
        arguments = [places.get(word, word) for word in words]
        found = call(arguments, output)
        counts[f"{words[0]} of {name}: exit code {found.code}"] += 1
        if found.wrong:
            kept = keep / f"{seed}-{number}"
            shutil.copytree(case, kept)
            shown = [word.replace(str(case), str(kept)) for word in arguments]
            failures.append(f"{found.wrong}: crild {' '.join(shown)}\n{found.said[-3000:]}")
        shutil.rmtree(case)
        for left in folder.glob(f"{output.name}*"):
            (shutil.rmtree if left.is_dir() else os.remove)(left)
    return counts, failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; return 1 where a case failed."""
    parser = argparse.ArgumentParser(description="Run crild on files that are broken at random.")
    parser.add_argument("--seconds", type=float, default=60.0, help="that it may take (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of what is broken (default: 0)")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="folder of cases that fail (default: fuzz)")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="crild-fuzz-") as folder:
        counts, failures = fuzz(Path(folder), asked.seconds, asked.seed, asked.keep.resolve())
    for failure in failures:
        print(failure, end="\n\n")
    for ended, count in sorted(counts.items()):
        print(f"{count:6} {ended}")
    print(f"{counts.total()} cases, {len(failures)} failed" + (f", kept in {asked.keep}" if failures else ""))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
