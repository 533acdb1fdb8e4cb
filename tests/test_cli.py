"""The command line: errors for people, configuration, JSON, dry run; run in this process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from crild.cli import main
from crild.config import DistillConfig, build, option_names
from crild.errors import CrildError
from crild.methods import METHODS
from tests.conftest import WORDS, reviews, save_tiny, write_jsonl
from tests.test_models import SMALL_GPT


@pytest.fixture
def cli(capsys):
    def call(*arguments):
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def complaint(err: str) -> str:
    """The one line of an error; nothing else may look like one."""
    lines = [line for line in err.splitlines() if line.startswith("crild: error: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


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
    "seed too large": (lambda t: {"seed": "5000000000"}, "below 2**32"),
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
        (["distill"], "--output is missing"),
        (["distill", "--output", "x"], "--teacher is missing"),
        (["finetune", "--output", "x"], "--base is missing"),
        (["evaluate"], "the model is missing"),
        (["methods", "cr-ldi"], "unknown method"),
        (["demo", "--outptu", "x"], "unknown option '--outptu' (did you mean '--output'?)"),
        (["distill", "--seed"], "expected"),
        (["distill", "--preset", "fast"], "invalid choice"),
    ],
)
def test_incomplete_commands_say_what_is_missing(arguments, message, cli):
    code, _, err = cli(*arguments)
    assert code == 2
    assert message in complaint(err)


def test_help_lists_every_option_of_the_dataclass(cli):
    with pytest.raises(SystemExit) as stopped:
        cli("distill", "--help")
    assert stopped.value.code == 0
    code, out, _ = cli("--help")
    assert code == 0
    assert "distill" in out


def test_methods_lists_all_and_explains_one(cli):
    code, out, _ = cli("methods")
    assert code == 0
    lines, _, models = out.partition("\n\n")
    assert {line.split()[0] for line in lines.splitlines()} == set(METHODS)
    assert all("[" in line and "]" in line for line in lines.splitlines())
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


def test_every_option_survives_yaml(tmp_path):
    config = DistillConfig(teacher="t", epochs=3, ema=True, ild_learning_rate=1e-5, features="qkv")
    values = {name: getattr(config, name) for name in option_names(DistillConfig)}
    assert build(DistillConfig, yaml.safe_load(yaml.safe_dump(values))) == config


@pytest.mark.parametrize(
    "values", [{"ema": "yes"}, {"seed": 1.5}, {"epochs": True}, {"task": "tagging"}, {"student": [1]}, {"epochs": 0}]
)
def test_values_of_the_wrong_type_are_refused(values):
    with pytest.raises(CrildError, match=next(iter(values))):
        build(DistillConfig, values)


def run_distill(cli, tmp_path, *options):
    code, out, err = cli("distill", "--output", tmp_path / "run", "--max-steps", "6", "--json", *options)
    assert code == 0, err
    return json.loads(out), err


def test_a_run_end_to_end(cli, tmp_path, tiny_teacher, film_data):
    result, err = run_distill(cli, tmp_path, "--teacher", tiny_teacher, "--data", film_data, "--student", "2")
    assert "the teacher scores" in err
    assert "about" in err
    run = tmp_path / "run"
    assert result == json.loads((run / "result.json").read_text())
    assert result["metric"] == "accuracy"
    assert result["student"]["init"] == "layers 0, 1 of the fine-tuned teacher, the teacher's head"
    assert {"score", "interval", "parameters", "bytes", "latency_ms"} <= set(result["student"])
    assert result["control"]["score"] >= 0
    assert result["selection"]["score"] >= 0
    assert sorted(p.name for p in (run / "stages").iterdir()) == ["control", "ild", "kd"]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["preset"] == "quick"
    assert config["seed"] == 42
    assert "torch" in json.loads((run / "run.json").read_text())["versions"]
    history = [json.loads(line) for line in (run / "stages/ild/history.jsonl").open()]
    assert set(history[-1]["train"]) == set(history[-1]["held_out"])
    # the student is a plain transformers model: no width map, label names, tokenizer, card
    student = run / "student"
    assert all(name.startswith(("bert.", "classifier.")) for name in load_file(student / "model.safetensors"))
    names = {p.name for p in student.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert not [p for p in run.rglob("*") if p.suffix in (".bin", ".pt", ".pth", ".pkl")]
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(student))
    assert classify("good great film")[0]["label"] in ("neg", "pos")
    code, out, _ = cli("evaluate", student, "--data", film_data, "--json")
    assert code == 0
    assert json.loads(out)["score"] == pytest.approx(result["student"]["score"])


def test_a_teacher_without_a_head_is_fine_tuned_first_and_is_also_the_base(cli, tmp_path, tiny, film_data):
    result, _ = run_distill(
        cli, tmp_path, "--teacher", tiny, "--data", film_data, "--student", "every:2", "--no-control"
    )
    assert result["control"] is None
    assert result["teacher"]["fine_tuned_here"]
    assert "layers 0, 2 of the pre-trained" in result["student"]["init"]
    assert (tmp_path / "run/teacher/model.safetensors").exists()


def test_unlabelled_rows_alone_give_agreement_with_the_teacher(cli, tmp_path, tiny_teacher, film_data):
    rows = [json.loads(line) for line in (film_data / "train.jsonl").open()]
    path = write_jsonl(tmp_path / "texts.jsonl", [{"text": row["text"]} for row in rows])
    result, _ = run_distill(cli, tmp_path, "--teacher", tiny_teacher, "--data", path, "--student", "2")
    assert result["metric"] == "agreement"
    assert result["control"] is None
    assert result["teacher"]["score"] == 1.0
    assert 0.0 <= result["student"]["score"] <= 1.0


@pytest.mark.parametrize("mode", ["first", "join"])
def test_supplementary_texts(mode, cli, tmp_path, tiny_teacher, film_data):
    more = tmp_path / "more.txt"
    more.write_text("\n".join(f"good {word} film" for word in WORDS))
    result, _ = run_distill(
        cli, tmp_path, "--teacher", tiny_teacher, "--data", film_data, "--student", "2", "--no-control",
        "--supplementary", more, "--supplementary-mode", mode,
    )  # fmt: skip
    assert result["rows"]["supplementary"] == len(WORDS)
    stages = sorted(p.name for p in (tmp_path / "run/stages").iterdir())
    assert stages == (["ild", "kd", "supplementary"] if mode == "first" else ["ild", "kd"])


def test_a_narrower_student_from_a_path_gets_a_width_map_that_is_not_shipped(cli, tmp_path, tiny_teacher, film_data):
    small = save_tiny(tmp_path / "small", layers=2, hidden_size=16)
    result, _ = run_distill(
        cli, tmp_path, "--teacher", tiny_teacher, "--data", film_data, "--student", small, "--no-control"
    )
    names = set(load_file(tmp_path / "run/student/model.safetensors"))
    assert all(name.startswith(("bert.", "classifier.")) for name in names)
    assert result["student"]["init"] == f"weights of {small}, fresh head"


def test_labels_in_another_order_than_the_teachers(cli, tmp_path, tiny_teacher, film_data):
    rows = [json.loads(line) for line in (film_data / "train.jsonl").open()]
    swapped = [{"text": r["text"], "label": {"neg": 1, "pos": 0}[r["label"]]} for r in rows]
    path = write_jsonl(tmp_path / "coded.jsonl", swapped)
    common = ["--teacher", tiny_teacher, "--data", path, "--student", "2", "--no-control"]
    code, _, err = cli("distill", *common, "--output", tmp_path / "run")
    assert code == 2
    assert "--label-map" in complaint(err)
    assert not (tmp_path / "run").exists()
    result, _ = run_distill(cli, tmp_path, *common, "--label-map", "1=neg,0=pos")
    assert result["teacher"]["score"] > 0.8


def test_the_python_api_says_the_same(tmp_path, tiny_teacher, film_data):
    import crild

    result = crild.distill(
        teacher=tiny_teacher,
        data=film_data,
        student=2,
        method="kd",
        output=tmp_path / "run",
        max_steps=3,
        control=False,
    )
    assert result["method"] == "kd"
    assert crild.evaluate(model=tmp_path / "run/student", data=film_data)["score"] == result["student"]["score"]
    with pytest.raises(crild.CrildError, match="did you mean 'teacher'"):
        crild.distill(techer="x")


def test_a_reader_that_has_seen_enough_is_no_error():
    line = [sys.executable, "-c", "import sys; sys.stdin.read(1); sys.stdin.close()"]
    with subprocess.Popen(line, stdin=subprocess.PIPE) as reader:
        text = [sys.executable, "-m", "crild", "methods", "--json"]
        code = "import sys, crild.cli as c; c.VERBS.update({'x' * 200_000: ''}); sys.exit(c.main([]))"  # fills the pipe
        for command in (text, [sys.executable, "-c", code]):
            done = subprocess.run(command, stdout=reader.stdin, stderr=subprocess.PIPE, text=True, timeout=120)
            assert done.stderr == ""
            assert done.returncode == 0
