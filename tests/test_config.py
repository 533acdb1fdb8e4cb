"""Options: YAML, types, and the settings of stages."""

import pytest
import yaml

from crild.config import DistillConfig, build, option_names, stage_settings
from crild.errors import CrildError


@pytest.mark.parametrize("kind", ["finetune", "ild", "kd"])
def test_the_epoch_to_keep_is_that_of_every_stage(kind):
    assert stage_settings(DistillConfig(), kind, 100).keep == "best"
    assert stage_settings(DistillConfig(keep="last"), kind, 100).keep == "last"


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
