"""The command line: errors for people, configuration, JSON, dry run; run in this process."""

import dataclasses
import json
import logging
import re
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import datasets
import pytest
import torch
import transformers
import yaml

import crild
from crild.cli import VERBS
from crild.errors import CrildError
from crild.methods import METHODS
from tests.architectures import SMALL_GPT
from tests.conftest import WORDS, complaint, reviews, save_tiny


def snapshot(folder: Path):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def occupied(tmp_path):
    """An output directory that holds something the user cares about."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    return folder


def gpt(folder: Path) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(**SMALL_GPT)).save_pretrained(folder)
    return folder


def text_file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def unlabelled(path: Path) -> Path:
    return text_file(path, "\n".join(row["text"] for row in reviews(60)).encode())


VALIDATION_TEXT = reviews(60, seed=1)[0]["text"].encode()
MISTAKES = {
    "missing data": (lambda t: {"data": t / "nowhere.csv"}, "no such file or folder"),
    "missing teacher": (lambda t: {"teacher": t / "nowhere"}, "no such folder"),
    "empty file": (lambda t: {"data": text_file(t / "e.csv", b"")}, "e.csv: the file is empty"),
    "no text column": (lambda t: {"data": text_file(t / "c.csv", b"a,label\n1,x\n2,y\n")}, "no text column"),
    "no such column": (lambda t: {"text": "txt"}, "no column 'txt' (did you mean 'text'?)"),
    "one class": (
        lambda t: {"data": text_file(t / "o.csv", b"text,label\n" + b"".join(b"good %d,pos\n" % i for i in range(20)))},
        "at least two classes",
    ),
    "unknown labels": (
        lambda t: {
            "data": text_file(
                t / "u.csv",
                b"text,label\n" + b"".join(b"good %d,%s\n" % (i, (b"ham", b"spam")[i % 2]) for i in range(20)),
            )
        },
        "does not know the labels ham, spam",
    ),
    "not UTF-8": (lambda t: {"data": text_file(t / "l.csv", b"text,label\ncaf\xe9,pos\n")}, "line 2 is not UTF-8"),
    "other vocabulary": (
        lambda t: {"student": save_tiny(t / "s", layers=2, words=[*WORDS, "zebra"])},
        "different vocabularies",
    ),
    "too many layers": (lambda t: {"student": "9"}, "4 layers"),
    "larger student": (lambda t: {"student": save_tiny(t / "s", layers=6)}, "more than the teacher's 4"),
    "no such student": (lambda t: {"student": "thre"}, "neither layers"),
    "unknown method": (lambda t: {"method": "cr-idl"}, "unknown method 'cr-idl' (did you mean 'cr-ild'?)"),
    "unknown option": (lambda t: {"methd": "kd"}, "unknown option '--methd' (did you mean '--method'?)"),
    "bad number": (lambda t: {"seed": "many"}, "seed"),
    "negative": (lambda t: {"epochs": "-1"}, "out of range"),
    "bad metric": (lambda t: {"metric": "acuracy"}, "did you mean 'accuracy'?"),
    "metric of another task": (lambda t: {"metric": "pearson"}, "no metric 'pearson' for classification"),
    "causal": (lambda t: {"teacher": gpt(t / "gpt")}, "causal model"),
    "bad YAML": (lambda t: {"config": text_file(t / "r.yaml", b"seed: [1\nmethod")}, "r.yaml: line 2: not valid YAML"),
    "unknown key": (lambda t: {"config": text_file(t / "r.yaml", b"temprature: 2")}, "did you mean 'temperature'?"),
    "no such YAML": (lambda t: {"config": t / "none.yaml"}, "no such file"),
    "bad label map": (lambda t: {"label_map": "pos"}, "old=new"),
    "bad layer map": (lambda t: {"layer_map": "uniformly"}, "did you mean 'uniform'?"),
    "features without stage 1": (
        lambda t: {"method": "kd", "features": "qkv"},
        "--features would do nothing with method kd",
    ),
    "average without consistency": (
        lambda t: {"method": "l-ild", "config": text_file(t / "e.yaml", b"ema: true")},
        "--ema would do nothing with method l-ild",
    ),
    "consistency without interpolation": (
        lambda t: {"method": "l-ild", "consistency": "0.2"},
        "would do nothing with method l-ild",
    ),
    "texts that KD would not see": (
        lambda t: {"method": "kd", "supplementary": text_file(t / "m.txt", b"good film")},
        "use --supplementary-mode join",
    ),
    "heads that do not divide": (lambda t: {"features": "qkv", "relation_heads": "5"}, "does not divide"),
    "accumulation": (lambda t: {"accumulation": "3"}, "does not divide the batch size 32"),
    "nothing to mix": (lambda t: {"accumulation": "32"}, "needs at least 2"),
    "decay without average": (lambda t: {"ema_decay": "0.9"}, "--ema-decay would do nothing"),
    "seed too large": (lambda t: {"seed": "5000000000"}, "at most 4294967295"),
    "endless YAML number": (lambda t: {"config": text_file(t / "i.yaml", b"max_steps: .inf")}, "max_steps"),
    "blank TSV": (lambda t: {"data": text_file(t / "b.tsv", b"\n\n")}, "the file is empty"),
    "all texts held out": (
        lambda t: {"supplementary": text_file(t / "v.txt", VALIDATION_TEXT)},
        "every text is in selection",
    ),
    "output under a file": (
        lambda t: {"output": text_file(t / "file", b"x") / "out"},
        "no folder that can be written to",
    ),
    "name too long": (lambda t: {"data": t / ("x" * 300 + ".csv")}, "too long"),
    "unknown features": (lambda t: {"features": "hiden"}, "no objective 'hiden' (did you mean 'hidden'?)"),
    "features twice": (lambda t: {"features": "hidden+ah"}, "hidden is named twice"),
    "weight of features": (lambda t: {"features": "0*hidden"}, "no positive weight"),
    "map that leaves nothing": (lambda t: {"student": "1", "method": "pkd"}, "use --layer-map last"),
    "map for another objective": (lambda t: {"method": "alp-kd", "layer_map": "last"}, "use --layer-map all"),
    "objective for another map": (lambda t: {"method": "ckd", "layer_map": "emd"}, "use --layer-map last or uniform"),
    "words of mixed texts": (lambda t: {"method": "mgskd", "interpolate": "true"}, "use --interpolate false"),
    "samples without a batch": (lambda t: {"method": "mgskd", "accumulation": "16"}, "needs at least 3"),
    "interpolation without a term": (lambda t: {"method": "kd", "interpolate": "true"}, "would do nothing"),
    "consistency on plain inputs": (lambda t: {"interpolate": "false", "consistency": "0.1"}, "would do nothing"),
    "map without layers": (lambda t: {"method": "mixkd", "layer_map": "uniform"}, "--layer-map would do nothing"),
    "labels that nobody sees": (
        lambda t: {"method": "minilm", "schedule": "paper", "hard_label_weight": "0.5"},
        "--hard-label-weight would do nothing",
    ),
    "no labels for filters": (
        lambda t: {"method": "ted", "data": unlabelled(t / "u.txt")},
        "method ted with features ted, two-stage schedule, learns from labels",
    ),
    "no labels for filters of another method": (
        lambda t: {"method": "l-ild", "features": "ted", "data": unlabelled(t / "u.txt")},
        "learns from labels",
    ),
    "unknown schedule": (lambda t: {"schedule": "papr"}, "papr"),
    "missing plugin": (lambda t: {"plugin": t / "none.py"}, "no such file"),
    "failing plugin": (lambda t: {"plugin": text_file(t / "p.py", b"1 / 0")}, "ZeroDivisionError"),
    "width of a path": (
        lambda t: {"student": save_tiny(t / "s", layers=2), "student_width": "16"},
        "not for one of its own PATH",
    ),
    "width of a static student": (
        lambda t: {"student": "static", "student_width": "16", "method": "kd"},
        "or a static one",
    ),
    "layers of a static student": (lambda t: {"student": "static"}, "use --method kd"),
    "heads without width": (lambda t: {"student_heads": "2"}, "add --student-width"),
    "width that heads do not divide": (lambda t: {"student_width": "18"}, "18"),
    "wider student": (lambda t: {"student_width": "64"}, "64"),
    "unequal heads": (lambda t: {"student_width": "16", "student_heads": "2"}, "use `--features qkv`"),
    "supplementary missing": (lambda t: {"supplementary": t / "none.txt"}, "no such file or folder"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gives_one_line_exit_code_2_and_writes_nothing(name, cli, tmp_path, tiny_teacher, film_data):
    change, message = MISTAKES[name]
    output = tmp_path / "out"
    options = {"teacher": tiny_teacher, "data": film_data, "student": "2", "method": "cr-ild", "output": output}
    options |= change(tmp_path)
    code, out, err = cli("distill", *(x for k, v in options.items() for x in (f"--{k.replace('_', '-')}", v)))
    assert code == 2
    assert message in complaint(err)
    assert out == ""
    assert not options["output"].exists()


def test_a_foreign_output_directory_is_left_alone(cli, occupied, tiny_teacher, film_data):
    before = snapshot(occupied)
    code, _, err = cli("distill", "--teacher", tiny_teacher, "--data", film_data, "--output", occupied)
    assert code == 2
    assert "holds no crild run" in complaint(err)
    assert snapshot(occupied) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distil"], "did you mean 'distill'?"),
        (["distill", "--teacher", "x", "--data", "x"], "--output is missing"),
        (["distill", "--output", "x", "--data", "x"], "--teacher is missing"),
        (["distill", "--output", "x", "--teacher", "x"], "--data is missing"),
        (["finetune", "--output", "x", "--data", "x"], "--base is missing"),
        (["evaluate"], "MODEL is missing"),
        (["compare"], "GRID is missing"),
        (["methods", "cr-ldi"], "unknown method"),
        (["demo", "--outptu", "x"], "unknown option '--outptu' (did you mean '--output'?)"),
        (["distill", "--seed"], "expected"),
        (["distill", "--preset", "fast"], "none of quick, paper"),
        (["methods", "--jsn"], "did you mean '--json'?"),
    ],
)
def test_incomplete_commands_say_what_is_missing(arguments, message, cli):
    code, _, err = cli(*arguments)
    assert code == 2
    assert message in complaint(err)


def test_help_lists_the_verbs(cli):
    code, out, _ = cli("--help")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == list(VERBS)
    assert cli()[1] == out


def without_torch(*arguments):
    """Run the command line where torch and transformers cannot be loaded."""
    code = "import sys; sys.modules.update(torch=None, transformers=None)\n"
    code += f"import crild.cli; sys.exit(crild.cli.main({[*arguments]}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distill", "--epochs", "-1"], "epochs: -1 is out of range"),
        (["distill", "--teacher", "t", "--data", "d", "--output", "o", "--method", "cr-idl"], "did you mean 'cr-ild'?"),
        (["tune", "--teacher", "t", "--data", "d", "--output", "o", "--method", "cr-idl"], "did you mean 'cr-ild'?"),
        (["distill", "--teacher", "t", "--data", "d", "--output", "o", "--student", "0"], "needs at least one layer"),
        (["finetune", "--output", "o", "--data", "d"], "--base is missing"),
        (["evaluate", "--data", "d"], "MODEL is missing"),
        (["compare", "nowhere.yaml"], "no such file: nowhere.yaml"),
    ],
)
def test_a_mistake_in_options_is_told_before_torch_is_loaded(arguments, message):
    done = without_torch(*arguments)
    assert message in complaint(done.stderr)
    assert done.returncode == 2


ABSENT = {
    "data": ["distill", "--teacher", "t", "--output", "o", "--data", "films.csv"],
    "teacher": ["distill", "--data", "d", "--output", "o", "--teacher", "./bert"],
    "base": ["finetune", "--data", "d", "--output", "o", "--base", "models/our/bert"],
    "student": ["distill", "--teacher", "t", "--data", "d", "--output", "o", "--student", "~/none/bert"],
    "validation": ["finetune", "--base", "b", "--data", "d", "--output", "o", "--validation", "/none/dev.tsv"],
    "model of predict": ["predict", "/none/student", "--data", "d", "--output", "o.csv"],
    "data of predict": ["predict", "m", "--data", "films.jsonl", "--output", "o.csv"],
    "compare": ["evaluate", "m", "--data", "d", "--compare", "./bert"],
    "supplementary": ["distill", "--teacher", "t", "--data", "d", "--output", "o", "--supplementary", "more.txt"],
    "plugin": ["distill", "--teacher", "t", "--data", "d", "--output", "o", "--plugin", "mine.py"],
    "tune": ["tune", "--teacher", "t", "--data", "../films", "--output", "o"],
    "model": ["evaluate", "runs/films/student", "--data", "d"],
    "grid": ["compare", "grids/mine", "--output", "o"],
    "config": ["distill", "--config", "run.yaml"],
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_not_there_is_told_in_less_than_a_second(name, tmp_path):
    """Five seconds of CPU went by, in which torch was loaded."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "crild", *ABSENT[name]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2
    assert "no such" in complaint(done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


@pytest.mark.parametrize(
    ("verb", "option"),
    [("distill", "--teacher"), ("finetune", "--base"), ("tune", "--teacher"), ("evaluate", "--model")],
)
def test_a_column_that_is_not_there_is_told_before_torch_is_loaded(verb, option, tmp_path):
    """Ten seconds went by."""
    (tmp_path / "films.csv").write_text('"said, of it";verdict\ngood;pos\n')
    output = [] if verb == "evaluate" else ["--output", "o"]
    done = without_torch(verb, option, "t", "--data", str(tmp_path / "films.csv"), "--text", "sad, of it", *output)
    assert "there is no column 'sad, of it' (did you mean 'said, of it'?)" in complaint(done.stderr)
    assert done.returncode == 2


def test_columns_of_data_that_is_not_read_do_not_matter(cli, tiny_teacher, film_data, tmp_path):
    (tmp_path / "odd.csv").write_text("verdict,of it\npos,good\n")
    validation = film_data / "validation.jsonl"
    code, out, err = cli("evaluate", tiny_teacher, "--data", tmp_path / "odd.csv", "--validation", validation, "--json")
    assert code == 0, err
    assert json.loads(out)["rows"] == 60


@pytest.mark.parametrize("verb", ["distill", "finetune"])
def test_the_first_line_comes_before_torch_is_loaded(verb):
    """Five seconds went by before it."""
    done = without_torch(verb, "--base", "b", "--data", "films", "--output", "o")
    assert done.stderr.splitlines()[0] == f"crild {crild.__version__}: reading films"
    assert "ModuleNotFoundError" in done.stderr.splitlines()[-1]


def test_options_beside_a_configuration_are_refused():
    """They were ignored."""
    for function, config in (
        (crild.distill, crild.DistillConfig()),
        (crild.finetune, crild.FinetuneConfig()),
        (crild.evaluate, crild.EvaluateConfig()),
        (crild.tune, crild.TuneConfig()),
    ):
        with pytest.raises(CrildError, match=f"metric: given beside a {type(config).__name__}"):
            function(config, metric="f1")


def test_dir_lists_the_public_names_alone():
    assert dir(crild) == sorted(crild.__all__)
    assert not [name for name in dir(crild) if name.startswith("_")]


def levels():
    """What a program may have set in the libraries below crild."""
    return (
        transformers.logging.get_verbosity(),
        transformers.logging.is_progress_bar_enabled(),
        datasets.logging.get_verbosity(),
        datasets.are_progress_bars_disabled(),
        logging.getLogger("accelerate").level,
        list(warnings.filters),
    )


@pytest.fixture
def loud():
    """Levels that crild would not choose."""
    before = levels()
    transformers.logging.set_verbosity_info()
    transformers.logging.enable_progress_bar()
    datasets.logging.set_verbosity_info()
    datasets.enable_progress_bars()
    logging.getLogger("accelerate").setLevel(logging.DEBUG)
    yield
    transformers.logging.set_verbosity(before[0])
    datasets.logging.set_verbosity(before[2])
    logging.getLogger("accelerate").setLevel(before[4])


def test_the_library_leaves_the_log_levels_of_others_alone(loud, tmp_path, tiny, tiny_teacher, film_data):
    """B30: `crild.evaluate` silenced transformers, datasets, accelerate and warnings for the whole program."""
    before = levels()
    crild.evaluate(model=tiny_teacher, data=film_data)
    assert levels() == before
    crild.finetune(base=tiny, data=film_data, output=tmp_path / "run", max_steps=1)
    assert levels() == before


@pytest.mark.parametrize(("verb", "hint"), [("distill", "--accumulation 2"), ("evaluate", "--max-length")])
def test_a_full_gpu_is_one_line_with_the_way_out(verb, hint, cli, monkeypatch):
    """B30: a traceback of CUDA, without a hint at `--accumulation`."""

    def fill(config, switches):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")

    monkeypatch.setitem(VERBS, verb, dataclasses.replace(VERBS[verb], handler=fill))
    where = ["M"] if verb == "evaluate" else ["--teacher", "t", "--output", "o"]
    code, _, err = cli(verb, *where, "--data", "d")
    assert code == 2
    assert hint in complaint(err)

    def break_down(config, switches):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setitem(VERBS, verb, dataclasses.replace(VERBS[verb], handler=break_down))
    with pytest.raises(RuntimeError, match="illegal"):
        cli(verb, *where, "--data", "d")


def test_a_switch_before_the_model(cli, tiny_teacher, film_data):
    """B30: the switch took the model as its value."""
    code, out, err = cli("evaluate", "--trust-remote-code", tiny_teacher, "--data", film_data, "--json")
    assert code == 0, err
    assert json.loads(out)["score"] > 0.8


def test_methods_lists_all_and_explains_one(cli):
    code, out, _ = cli("methods")
    assert code == 0
    lines, _, models = out.partition("\n\n")
    entries = re.split(r"\n(?! )", lines)
    assert {entry.split()[0] for entry in entries} == set(METHODS)
    assert all("[" in entry and "]" in entry for entry in entries)
    assert "EuroBERT" in models
    _, out, _ = cli("methods", "cr-ild")
    for word in ("L_mix", "2302.01530", "interpolated", "departs"):
        assert word in out


def test_yaml_says_the_same_as_the_command_line_which_overrides_it(cli, tmp_path, tiny_teacher, film_data):
    path = tmp_path / "run.yaml"
    path.write_text(
        f"teacher: {tiny_teacher}\ndata: {film_data}\nstudent: 2\nild-learning-rate: 3e-5\nmax_steps: 3\nseed: 5\n"
    )
    code, out, _ = cli("distill", "--config", path, "--seed", "6", "--output", tmp_path / "o", "--dry-run", "--json")
    assert code == 0
    plan = json.loads(out)
    assert plan["options"]["seed"] == 6
    assert plan["options"]["ild_learning_rate"] == 3e-5
    assert [(s["name"], s["steps"]) for s in plan["stages"]] == [("ild", 3), ("kd", 3), ("control", 3)]
    assert not (tmp_path / "o").exists()


def test_a_dry_run_says_in_six_lines_what_would_run(cli, tmp_path, tiny_teacher, film_data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    arguments = ["distill", "--teacher", tiny_teacher, "--data", film_data, "--student", "2", "--max-steps", "9"]
    arguments += ["--output", tmp_path / "o", "--dry-run"]
    code, out, err = cli(*arguments)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == [
        "data", "teacher", "student", "method", "time", "output",
    ]  # fmt: skip
    text = " ".join(out.split())
    assert "144 training rows (neg 75, pos 69), 16 for selection, 60 for validation" in text
    assert "cr-ild, two-stage: ILD 1.8 epochs, 9 steps; KD 1.8 epochs, 9 steps; control 1 epochs, 9 steps" in text
    assert "less than a minute" in text
    _, out, _ = cli(*arguments, "--verbose")
    assert [stage["steps"] for stage in yaml.safe_load(out)["stages"]] == [9, 9, 9]
    assert not (tmp_path / "o").exists()
    code, _, err = cli(*arguments[:-1], "--verbose")
    assert code == 2
    assert "--verbose would do nothing without --dry-run" in complaint(err)


def test_evaluate_and_predict_print_and_write(cli, tmp_path, tiny_teacher, film_data):
    file, answers = tmp_path / "rows.csv", tmp_path / "answers.csv"
    code, out, err = cli(
        "evaluate", tiny_teacher, "--data", film_data, "--compare", tiny_teacher, "--predictions", file
    )
    assert code == 0, err
    for words in ("on 60 rows", "precision", "rows by label and answer", "difference +0.0000", "differ in 0 of 60"):
        assert words in out
    assert len(file.read_text().splitlines()) == 61
    code, out, err = cli("predict", tiny_teacher, "--data", film_data, "--output", answers)
    assert code == 0, err
    assert out.startswith(f"60 rows answered in {answers}\n  neg: ")
    code, out, _ = cli("predict", tiny_teacher, "--data", film_data, "--output", answers, "--overwrite", "--json")
    assert sum(json.loads(out)["answers"].values()) == 60
    for wrong, message in (("a.xlsx", "--output: a.xlsx says no format"), (answers, "or --overwrite")):
        code, _, err = cli("predict", tiny_teacher, "--data", film_data, "--output", wrong)
        assert code == 2
        assert message in complaint(err)


@pytest.mark.parametrize("arguments", [["methods"], ["methods", "cr-ild-as-released"], ["evaluate"], ["distill"]])
def test_a_pipe_of_80_columns_gets_no_longer_line(arguments, cli, tmp_path, tiny_teacher, film_data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t").symlink_to(tiny_teacher)
    (tmp_path / "films").symlink_to(film_data)
    arguments = {
        "evaluate": ["evaluate", "t", "--data", "films", "--compare", "t"],
        "distill": [
            "distill",
            "--teacher",
            "t",
            "--data",
            "films",
            "--student",
            "2",
            "--max-steps",
            "1",
            "--output",
            "o",
        ],
    }.get(arguments[0], arguments)
    code, out, err = cli(*arguments)
    assert code == 0, err
    assert max(map(len, out.splitlines())) <= 80


def test_a_reader_that_has_seen_enough_is_no_error():
    line = [sys.executable, "-c", "import sys; sys.stdin.read(1); sys.stdin.close()"]
    with subprocess.Popen(line, stdin=subprocess.PIPE) as reader:
        text = [sys.executable, "-m", "crild", "methods", "--json"]
        # A verb whose name fills the pipe.
        code = "import sys, crild.cli as c; c.VERBS['x' * 200_000] = c.VERBS['demo']; sys.exit(c.main([]))"
        for command in (text, [sys.executable, "-c", code]):
            done = subprocess.run(command, stdout=reader.stdin, stderr=subprocess.PIPE, text=True, timeout=120)
            assert done.stderr == ""
            assert done.returncode == 0
