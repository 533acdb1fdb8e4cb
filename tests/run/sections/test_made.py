"""The command that makes a run again."""

import json
import shlex

import yaml

from crild.config import DistillConfig, as_dict
from crild.config.arguments import parse
from crild.run.folder import RunFolder
from crild.run.sections.made import command
from tests.run.finished import finished


def test_the_command_says_the_options_of_the_run(tmp_path):
    """What was given, read again by the command line, is what the run's folder says."""
    run = finished(tmp_path / "run", rows=20, data='a "name" with $HOME & more.csv')
    changed = {"control": False, "epochs": 3, "label_noise": 0.25, "hard_label_weight": 0.5, "augment": "all"}
    (run.path / "config.yaml").write_text(yaml.safe_dump(run.options | changed))
    run = RunFolder(run.path)
    verb, name, *arguments = shlex.split(command(run))
    assert (verb, name) == ("crild", "distill")
    config, _ = parse(DistillConfig, arguments, "distill", "distil")
    told = as_dict(config)
    assert {key: told[key] for key in run.options} == run.options
    assert told["output"] == "OUTPUT"


def test_a_fine_tuning_is_one(tmp_path):
    run = finished(tmp_path / "run", rows=20)
    plan = json.loads((run.path / "plan.json").read_text())
    (run.path / "plan.json").write_text(json.dumps(plan | {"method": None}))
    assert command(RunFolder(run.path)).startswith("crild finetune --data")
