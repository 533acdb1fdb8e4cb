"""Build the wheel, install it without extras into a fresh environment, and distil a tiny model there.

    python -m tools.wheel [FOLDER]

The tests run on the checkout; this shows that the built file holds all that a run needs (the card's template, ...) and
that its dependencies are enough. It is left in ``dist/``.
"""

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
TEACHER = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

words = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "the"])}
core = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
core.pre_tokenizer = pre_tokenizers.Whitespace()
marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
PreTrainedTokenizerFast(tokenizer_object=core, **marks).save_pretrained(sys.argv[1])
sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=64, **sizes)).save_pretrained(sys.argv[1])
"""
CLASSIFY = """
import sys
from transformers import pipeline

(answer,) = pipeline("text-classification", model=sys.argv[1], truncation=True)("the good film")
assert answer["label"] in ("neg", "pos"), answer
"""


def main(folder: Path) -> None:
    """Do it all in ``folder``; whatever fails ends it."""
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # files of an earlier build would get into the wheel
    for old in (ROOT / "dist").glob("crild-*.whl"):
        old.unlink()
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", ROOT / "dist", ROOT)
    (wheel,) = (ROOT / "dist").glob("crild-*.whl")
    files = {str(file.relative_to(ROOT / "src")) for file in (ROOT / "src/crild").rglob("*.*")}
    missing = {name for name in files if "__pycache__" not in name} - set(zipfile.ZipFile(wheel).namelist())
    assert not missing, f"not in the wheel: {', '.join(sorted(missing))}"
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / "bin"
    run(binaries / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel)
    run(binaries / "python", "-c", TEACHER, folder / "teacher", cwd=folder)
    rows = [f"the {word} film,{label}" for word, label in (("good", "pos"), ("bad", "neg"))] * 40
    (folder / "reviews.csv").write_text("text,label\n" + "\n".join(f"{i} {row}" for i, row in enumerate(rows)) + "\n")
    options = ["--student", "2", "--max-steps", "2", "--output", "run"]
    run(binaries / "crild", "distill", "--teacher", "teacher", "--data", "reviews.csv", *options, cwd=folder)
    run(binaries / "crild", "methods", cwd=folder)
    run(binaries / "python", "-c", CLASSIFY, "run/student", cwd=folder)
    assert (folder / "run/student/README.md").read_text().startswith("---")
    score = json.loads((folder / "run/result.json").read_text())["student"]["score"]
    print(f"{wheel.name} works alone: it distilled a student (score {score:.2f}), which a pipeline reads")


def run(*command: object, cwd: Path | None = None) -> None:
    """Run a command, apart from this checkout."""
    subprocess.run([str(part) for part in command], check=True, cwd=cwd)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as where:
            main(Path(where))
