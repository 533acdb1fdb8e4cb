"""The command line that is made from the options."""

import dataclasses
import re

import pytest

from crild.cli import VERBS
from crild.config import CompareConfig, DistillConfig, EvaluateConfig, FinetuneConfig, TuneConfig
from crild.config.arguments import flag, parse
from crild.errors import CrildError

GIVEN = ["--teacher", "t", "--data", "d", "--output", "o"]


def distill(*arguments):
    return parse(DistillConfig, [*GIVEN, *arguments], "distill", "distil")[0]


def complaint(cls, arguments, positional=None):
    with pytest.raises(CrildError) as caught:
        parse(cls, arguments, "x", "x", positional)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def entries(capsys, monkeypatch):
    """Return the help of a verb: its headings, and the text of each option by how it is spelled."""
    monkeypatch.setenv("COLUMNS", "1000")

    def read(name):
        verb = VERBS[name]
        with pytest.raises(SystemExit) as stopped:
            parse(verb.options, ["--help"], name, verb.summary, verb.positional)
        assert stopped.value.code == 0
        text = capsys.readouterr().out
        headings = re.findall(r"^(\S.*):$", text, re.MULTILINE)
        # An option stands at two spaces; its text stands beside it, or below it where its name is long.
        options = re.findall(r"^  (\S+)(?: \S+)?(?:  +|\n +)(\S.*)$", text, re.MULTILINE)
        return headings, options

    return read


@pytest.mark.parametrize("name", VERBS)
def test_help_lists_every_option_once_with_its_default(name, entries):
    """The test of this name never read the help."""
    verb = VERBS[name]
    _, options = entries(name)
    spelled = [option for option, _ in options]
    assert len(set(spelled)) == len(spelled)
    texts = dict(options)
    for each in dataclasses.fields(verb.options):
        if each.name == verb.positional:
            text = texts.pop(each.name.upper())
        else:
            text = texts.pop(f"--no-{each.name}" if each.default is True else flag(each.name))
        assert text.startswith(each.metadata["off"] if each.default is True else each.metadata["help"])
        if each.metadata.get("required"):
            assert text.endswith("required)")
        elif isinstance(each.default, bool):
            assert text.endswith("(default: off)")
        else:
            assert text.endswith(f"(default: {each.metadata['unset'] if each.default is None else each.default})")
    assert set(texts) - {"--config"} == {"-h,"} | {"-h"} & set(texts)


def test_help_is_grouped_by_what_an_option_is_about(entries):
    headings, _ = entries("distill")
    assert headings == [
        "Data, and how to read it",
        "Models from the hub",
        "Fewer or worse training rows",
        "Teacher",
        "Student",
        "Method, and what is matched",
        "Further texts",
        "Training of every stage",
        "Stages on labels (teacher, control, filters)",
        "Stage 1 (intermediate layers)",
        "Stage 2 (logits), and joint stages",
        "Output",
        "How to run",
    ]


def test_help_says_what_must_be_given_and_what_a_switch_does(entries):
    texts = dict(entries("distill")[1])
    assert texts["--base"].endswith("(this or --teacher is required)")
    assert texts["--no-control"] == "leave out the student without a teacher (default: off)"
    assert dict(entries("finetune")[1])["--base"].endswith("(required)")
    assert "20 % of train" in texts["--validation"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max_length", "9"], "unknown option '--max_length' (did you mean '--max-length'?)"),
        (["--max-len", "9"], "unknown option '--max-len' (did you mean '--max-length'?)"),  # no abbreviations
        (["--methd=kd"], "unknown option '--methd' (did you mean '--method'?)"),
        (["--seed"], "--seed: expected one argument"),
        (["kd"], "'kd' is no option: options begin with --"),
        (["--preset", "papr"], "preset: 'papr' is none of quick, paper (did you mean 'paper'?)"),
        (["--ema", "true"], "'true' is no option: options begin with --"),
    ],
)
def test_a_slip_is_one_line(arguments, message):
    assert complaint(DistillConfig, [*GIVEN, *arguments]) == message


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (DistillConfig, ["--data", "d", "--output", "o"], "--teacher is missing: "),
        (DistillConfig, ["--teacher", "t", "--output", "o"], "--data is missing: "),
        (DistillConfig, ["--base", "b", "--data", "d"], "--output is missing: "),
        (FinetuneConfig, ["--data", "d", "--output", "o"], "--base is missing: "),
        (TuneConfig, ["--data", "d", "--output", "o"], "--teacher is missing: "),
    ],
)
def test_what_a_verb_cannot_do_without_is_asked_for(cls, arguments, message):
    assert complaint(cls, arguments).startswith(message)


def test_a_base_is_enough_to_start_from():
    assert parse(DistillConfig, ["--base", "b", *GIVEN[2:]], "x", "x")[0].teacher is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--trust-remote-code", "M", "--data", "d"],
        ["M", "--trust-remote-code", "--data", "d"],
        ["--data", "d", "--trust-remote-code", "M"],
    ],
)
def test_a_switch_does_not_swallow_the_argument_after_it(arguments):
    """B30: `crild evaluate --trust-remote-code MODEL` said that the switch's value was wrong."""
    config, _ = parse(EvaluateConfig, arguments, "evaluate", "score", "model")
    assert (config.model, config.trust_remote_code, config.data) == ("M", True, "d")


def test_a_positional_argument_has_one_spelling():
    assert complaint(EvaluateConfig, ["--data", "d"], "model").startswith("MODEL is missing: ")
    twice = "--model: MODEL is given twice, with its name and without"
    assert complaint(EvaluateConfig, ["A", "--data", "d", "--model", "B"], "model") == twice
    assert complaint(EvaluateConfig, ["M", "N", "--data", "d"], "model").startswith("'N' is no option")
    assert complaint(EvaluateConfig, ["M", "--dta", "d"], "model").startswith("unknown option '--dta' (did you mean")
    assert parse(CompareConfig, ["--only", "x", "g.yaml"], "x", "x", "grid")[0].grid == "g.yaml"


def test_switches():
    assert distill().control
    assert not distill("--no-control").control
    assert distill("--ema").ema
    assert [distill(*said).interpolate for said in ([], ["--interpolate", "true"], ["--interpolate", "false"])] == [
        None, True, False]  # fmt: skip
    assert complaint(DistillConfig, ["--interpolate", "maybe"]) == "interpolate: 'maybe' is not true or false"


def test_the_command_line_overrides_yaml_which_overrides_defaults(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("seed: 5\nema: true\ncontrol: false\nild-learning-rate: 3e-5\nteacher: other\n")
    config = distill("--config", str(path), "--seed", "42", "--no-ema", "--control")
    assert (config.seed, config.ema, config.control) == (42, False, True)  # defaults too, since they were typed
    assert (config.ild_learning_rate, config.teacher, config.kd_epochs) == (3e-5, "t", None)


def test_a_mistake_in_yaml_is_told_even_where_the_command_line_overrides_it(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("seed: many\n")
    said = complaint(DistillConfig, [*GIVEN, "--config", str(path), "--seed", "1"])
    assert said == f"{path}: seed: 'many' is not a whole number"
