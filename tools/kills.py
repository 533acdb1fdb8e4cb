"""Kill a whole run at random moments, let it go on each time, and compare its student with an undisturbed one's.

    python -m tools.kills [--kills 20] [--seed 1] [--folder FOLDER]

The run fine-tunes a teacher, distils its intermediate layers and then its logits, all with models of a few layers. Each
kill is a SIGKILL at a moment drawn anew, also while libraries are loaded, a checkpoint or a log is written. Exit code 1
where the students differ or a run was over before its kill.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from crild.run.status import Status, status_of

ROOT = Path(__file__).resolve().parents[1]
LOOK_EVERY = 0.05  # seconds
EARLY = 5  # every so many kills come before the run has begun to write
GOOD, OTHERS = ["good", "great", "fine", "nice"], ["bad", "awful", "poor", "dull", "the", "a", "film", "plot", "was"]
ENCODER = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, logging, set_seed

logging.disable_progress_bar()
set_seed(0)
words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sys.argv[2:]])}
core = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
core.pre_tokenizer = pre_tokenizers.Whitespace()
marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
PreTrainedTokenizerFast(tokenizer_object=core, **marks).save_pretrained(sys.argv[1])
sizes = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 128}
BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=64, **sizes)).save_pretrained(sys.argv[1])
"""


class Life(Protocol):
    """A process that runs until it is over or killed."""

    def over(self, seconds: float) -> bool:
        """Wait so long at the most; return whether it has ended."""

    def kill(self) -> None:
        """Kill it."""


class Command:
    """A command as a process, with all that it starts."""

    def __init__(self, words: list[str]) -> None:
        self.process = subprocess.Popen(
            words, start_new_session=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def over(self, seconds: float) -> bool:
        """Wait so long at the most; return whether it has ended."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Kill it and all that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def undisturbed(start: Callable[[], Life], folder: Path) -> tuple[float, float]:
    """Run to the end; return the seconds until the first stage began, and until the end."""
    began, first = time.monotonic(), None
    life = start()
    while not life.over(LOOK_EVERY):
        if first is None and (folder / "stages").exists():
            first = time.monotonic() - began
    return first or 0.0, time.monotonic() - began


def disturbed(
    start: Callable[[], Life], folder: Path, kills: int, seed: int, seconds: tuple[float, float]
) -> list[Status]:
    """Start a run again and again, kill it each time but the last one; return how far it was at each kill.

    Moments are spread over the whole run: each is drawn from when a start begins to write, up to twice the share of
    what is left that falls to it; but every fifth is from before that.

    Args:
        start: begins it, or goes on with it.
        folder: of the run.
        kills: as many, if it lasts so long.
        seed: of the moments.
        seconds: until its first stage begins, and until it ends, where nobody kills it.
    """
    rng, (begins, lasts) = random.Random(seed), seconds
    found: list[Status] = []
    for left in range(kills, 0, -1):
        before, life = written(folder), start()
        if left % EARLY == 0:
            longest = begins
        else:
            while written(folder) == before and not life.over(LOOK_EVERY):
                pass
            share = found[-1].share if found else 0.0
            longest = (lasts - begins) * (1 - share) * min(2.0, 0.9 * left) / left  # never to its end
        if life.over(rng.uniform(0.0, longest)):
            return found
        life.kill()
        found.append(status_of(folder))
    start().over(float("inf"))
    return found


def written(folder: Path) -> int:
    """Return when a run last wrote into a stage, in nanoseconds; 0 where it never did."""
    times = [0]
    for path in folder.glob("stages/*/*"):
        with suppress(FileNotFoundError):  # renamed in the meantime
            times.append(path.stat().st_mtime_ns)
    return max(times)


def sha256(folder: Path) -> str:
    """Return the SHA-256 of a run's student."""
    return hashlib.sha256((folder / "student/model.safetensors").read_bytes()).hexdigest()


def main(folder: Path, kills: int, seed: int) -> int:
    """Do it all in ``folder``; return the exit code."""
    subprocess.run([sys.executable, "-c", ENCODER, str(folder / "encoder"), *GOOD, *OTHERS], check=True)
    rng = random.Random(0)
    rows = [" ".join(rng.choices(GOOD + OTHERS, k=rng.randint(3, 12))) for _ in range(500)]
    labels = ["pos" if sum(word in GOOD for word in row.split()) % 2 else "neg" for row in rows]
    text = "text,label\n" + "".join(f"{row},{label}\n" for row, label in zip(rows, labels, strict=True))
    (folder / "films.csv").write_text(text, encoding="utf-8")

    def started(output: str) -> Callable[[], Life]:
        options = {
            "teacher": folder / "encoder", "data": folder / "films.csv", "output": folder / output, "student": 2,
            "method": "cr-ild", "epochs": 30, "save-steps": 10, "precision": "fp32",
        }  # fmt: skip
        words = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        return lambda: Command([sys.executable, "-m", "crild", "distill", *words, "--no-control", "--ema"])

    seconds = undisturbed(started("whole"), folder / "whole")
    print(f"undisturbed: {seconds[1]:.0f} s, {seconds[0]:.0f} of them until its first stage", flush=True)
    found = disturbed(started("killed"), folder / "killed", kills, seed, seconds)
    for number, status in enumerate(found, 1):
        where = f"{status.place}; goes on from {status.resumes}" if status.stage else "before its first stage"
        print(f"kill {number:2}: {status.state}, {where}, {status.share:.0%}")
    whole, killed = sha256(folder / "whole"), sha256(folder / "killed")
    print(f"undisturbed:     {whole}\n{len(found):2} times killed: {killed}")
    same = whole == killed
    print("the same student" if same else "ANOTHER STUDENT")
    return 0 if same and len(found) == kills else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how often the run is killed (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    parser.add_argument("--folder", type=Path, help="an empty folder for the runs (default: one that is removed)")
    chosen = parser.parse_args()
    if chosen.folder is not None:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        sys.exit(main(chosen.folder.resolve(), chosen.kills, chosen.seed))
    with TemporaryDirectory() as where:
        sys.exit(main(Path(where), chosen.kills, chosen.seed))
