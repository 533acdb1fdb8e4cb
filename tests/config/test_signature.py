"""What `help` and an editor show of the public functions is what the options say."""

import inspect
from dataclasses import fields

import pytest

import crild
from crild.config import DistillConfig, EvaluateConfig, FinetuneConfig, TuneConfig


@pytest.mark.parametrize(
    ("function", "cls"),
    [
        (crild.distill, DistillConfig),
        (crild.finetune, FinetuneConfig),
        (crild.evaluate, EvaluateConfig),
        (crild.tune, TuneConfig),
    ],
)
def test_every_option_is_a_keyword_with_its_default_and_a_line_of_help(function, cls):
    parameters = inspect.signature(function).parameters
    for each in fields(cls):
        assert parameters[each.name].default == each.default
        assert parameters[each.name].kind == inspect.Parameter.KEYWORD_ONLY
        assert f"\n    {each.name}: {each.metadata['help']}" in function.__doc__
    assert "options" not in parameters
    assert "tokenizer" in parameters


def test_types_are_written_as_python_writes_them():
    parameters = inspect.signature(crild.distill).parameters
    said = {
        name: parameters[name].annotation for name in ("student", "data", "epochs", "ema", "keep", "plugin", "task")
    }
    assert said == {
        "student": "int | str | PathLike[str] | PreTrainedModel",
        "data": "str | PathLike[str] | DataFrame | Dataset | DatasetDict | None",
        "epochs": "int | None",
        "ema": "bool",
        "keep": "Literal['best', 'last', 'average']",
        "plugin": "str | PathLike[str] | None",
        "task": "str",
    }
