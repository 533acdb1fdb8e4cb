"""Own options, then `epochs`, then the preset."""

import pytest

from crild.config import PRESETS, DistillConfig, StageSettings, stage_settings
from crild.config.presets import of_presets


def test_an_own_setting_goes_before_epochs_and_epochs_before_the_preset():
    config = DistillConfig(preset="paper", epochs=7, kd_epochs=3, ild_learning_rate=0, kd_batch_size=8)
    assert [stage_settings(config, key, 100).epochs for key in ("finetune", "ild", "kd")] == [7, 7, 3]
    assert stage_settings(config, "ild", 100).learning_rate == 0
    assert stage_settings(config, "kd", 100).learning_rate == PRESETS["paper"]["kd"].learning_rate
    assert stage_settings(config, "kd", 100).batch_size == 8
    assert stage_settings(DistillConfig(preset="paper"), "ild", 30_000).epochs == 10


def test_help_says_what_the_presets_say():
    assert of_presets("ild", "learning_rate") == "quick 0.0001, paper 3e-05"
    assert of_presets("kd", "epochs") == "quick 10 (up to 1,500 rows) or 3 (up to 10,000 rows) or 2, paper 4"


@pytest.mark.parametrize("key", ["finetune", "ild", "kd"])
def test_the_epoch_to_keep_is_that_of_every_stage(key):
    assert stage_settings(DistillConfig(), key, 100).keep == "best"
    assert stage_settings(DistillConfig(keep="last"), key, 100).keep == "last"


@pytest.mark.parametrize(
    ("epochs", "cap", "steps"),
    [
        (4, None, (12, 16)),  # 8 ends the first half
        (3, None, (8, 12)),
        (1, None, (4,)),
        (4, 10, (8, 10)),  # a stage that ends inside an epoch
        (4, 3, (3,)),
    ],
)
def test_which_steps_are_averaged(epochs, cap, steps):
    assert StageSettings(epochs, 1e-3, 8, max_steps=cap).averaged(30) == steps
