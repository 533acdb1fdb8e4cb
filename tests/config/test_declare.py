"""Types and bounds are one thing for Python, YAML and the command line."""

import copy
import dataclasses
import pickle

import pytest
import yaml

from crild.config import (
    DemoConfig,
    DistillConfig,
    EvaluateConfig,
    FinetuneConfig,
    MethodsConfig,
    as_dict,
    build,
    configure,
    convert,
)
from crild.config.arguments import flag, parse
from crild.config.declare import type_of
from crild.errors import CrildError
from tests.config.values import NUMBERS, OPTIONS, refused, taken


def complaint(call):
    with pytest.raises(CrildError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_wrong_value_is_refused_in_python(name):
    cls, _ = OPTIONS[name]
    for value, words in refused(name):
        said = complaint(lambda value=value: cls(**{name: value}))
        assert said == complaint(lambda value=value: dataclasses.replace(cls(), **{name: value}))
        assert said.startswith(f"{name}: ")
        assert words in said


@pytest.mark.parametrize("name", [name for name, (cls, _) in OPTIONS.items() if cls not in (DemoConfig, MethodsConfig)])
def test_a_wrong_value_is_refused_in_yaml_with_the_file_named(name, tmp_path):
    cls, _ = OPTIONS[name]
    path = tmp_path / "run.yaml"
    for value, words in refused(name):
        path.write_text(yaml.safe_dump({name: value}))
        said = complaint(lambda: parse(cls, ["--config", str(path)], "x", "x"))
        assert said.startswith(f"{path}: {name}: ")
        assert words in said


@pytest.mark.parametrize("name", [name for name, (cls, _) in OPTIONS.items() if type_of(cls, name) not in (str, tuple)])
def test_a_wrong_value_is_refused_on_the_command_line(name):
    cls, each = OPTIONS[name]
    for value, words in refused(name):
        if isinstance(value, list) or value is True:  # there is text alone
            continue
        said = complaint(lambda value=value: parse(cls, [f"{flag(name)}={value}"], "x", "x"))
        if isinstance(each.default, bool):
            assert said.startswith(f"{flag(name)}: ignored explicit argument")
        else:
            assert said.startswith(f"{name}: ")
            assert words in said


def test_the_numbers_of_the_issue():
    """`DistillConfig(epochs=-1)` was taken in Python, refused elsewhere."""
    said = "epochs: -1 is out of range, it must be at least 1"
    assert complaint(lambda: DistillConfig(epochs=-1)) == said
    assert complaint(lambda: build(DistillConfig, {"epochs": -1})) == said
    assert complaint(lambda: parse(DistillConfig, ["--epochs", "-1"], "x", "x")) == said
    assert complaint(lambda: DistillConfig(max_length=4)) == "max_length: 4 is out of range, it must be at least 8"
    assert "at most 4294967295" in complaint(lambda: DistillConfig(seed=2**32))
    assert "at most 1" in complaint(lambda: DistillConfig(label_noise=1.1))
    assert "above 0" in complaint(lambda: DistillConfig(imbalance=0))


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_bounds_and_may_reach_them(name):
    cls, each = OPTIONS[name]
    assert {"ge", "gt"} & set(each.metadata)
    for bound in {"ge", "le"} & set(each.metadata):
        assert getattr(cls(**{name: each.metadata[bound]}), name) == each.metadata[bound]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_default_is_one_that_may_be_given(name):
    cls, each = OPTIONS[name]
    assert getattr(cls(**{name: each.default}), name) == each.default
    assert getattr(cls(**{name: taken(name)}), name) == taken(name) != each.default


@pytest.mark.parametrize("cls", [DistillConfig, FinetuneConfig, EvaluateConfig])
def test_an_unknown_option_is_refused_with_the_nearest_one(cls):
    assert complaint(lambda: cls(metrik="f1")) == "unknown option 'metrik' (did you mean 'metric'?)"
    assert complaint(lambda: build(cls, {"metrik": 1}, "r.yaml")).startswith("r.yaml: unknown option 'metrik'")


def test_texts_are_numbers_where_numbers_are_wanted_and_the_other_way_round():
    config = DistillConfig(ild_learning_rate="3e-5", student=3, epochs="2", seed=5.0)
    assert (config.ild_learning_rate, config.student, config.epochs, config.seed) == (3e-5, "3", 2, 5)
    assert convert(DistillConfig, "layer_map", 3) == "3"
    assert complaint(lambda: convert(DistillConfig, "epochs", 0, "--search")).startswith("--search: epochs: 0 is out")


def test_a_configuration_is_a_dataclass_that_nobody_changes_in_place():
    config = DistillConfig(epochs=3)
    assert dataclasses.replace(config, epochs=4) == DistillConfig(epochs=4)
    assert dataclasses.asdict(config) == as_dict(config) == as_dict(DistillConfig()) | {"epochs": 3}
    assert DistillConfig(**dataclasses.asdict(config)) == config
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = -1


def test_options_beside_a_configuration_are_refused():
    """They were ignored: `crild.distill(config, epochs=3)` ran with the configuration's epochs."""
    config = DistillConfig(epochs=3)
    assert configure(DistillConfig, config, {}) is config
    assert configure(DistillConfig, None, {"epochs": 3}) == config
    assert "epochs, seed: given beside a DistillConfig" in complaint(
        lambda: configure(DistillConfig, config, {"epochs": 4, "seed": 1})
    )
    assert complaint(lambda: configure(DistillConfig, {"epochs": 4}, {})).startswith("a dict is no DistillConfig")
    assert "is no FinetuneConfig" in complaint(lambda: configure(FinetuneConfig, config, {}))
