"""The command line: errors for people, configuration, JSON, dry run; run in this process."""

import dataclasses
import json
import logging
import os
import re
import resource
import subprocess
import sys
import warnings

import datasets
import pytest
import torch
import transformers
import yaml

import crild
from crild.cli import VERBS
from crild.errors import CrildError
from crild.methods import METHODS
from tests.conftest import complaint


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


def test_a_traceback_is_shown_where_it_is_asked_for(cli, tmp_path):
    (tmp_path / "d.csv").write_bytes(b"text,label\n\xff,a\n")
    code, out, err = cli("check", tmp_path / "d.csv", "--traceback")
    assert code == 2
    assert out == ""
    assert "UnicodeDecodeError" in err  # what it stands for
    assert err.splitlines()[-1].startswith("crild: error: ")
    assert cli("check", tmp_path / "d.csv")[2].splitlines() == [err.splitlines()[-1]]


def test_a_line_has_its_end_however_long_its_names_are(cli):
    line = complaint(cli("check", "x" * 100_000)[2])
    assert len(line) < 2100
    assert line.endswith(": file name too long")


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
        f"teacher: {tiny_teacher}\ndata: {film_data}\nstudent: 2\nmethod: cr-ild\nild-learning-rate: 3e-5\n"
        "max_steps: 3\nseed: 5\n"
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
    assert (
        "cr-ild-rewrites, two-stage: ILD 0.5 epochs, 9 steps; KD 0.5 epochs, 9 steps; control 1 epochs, 9 steps" in text
    )
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


def test_a_terminal_without_a_sign_shows_its_number(tmp_path):
    lines = "".join(f"good {i},😀\nbad {i},no\n" for i in range(40))
    (tmp_path / "films.csv").write_text("text,label\n" + lines, encoding="utf-8")
    command = [sys.executable, "-m", "crild", "check", "films.csv"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "\\U0001f600" in done.stdout
