"""Which task type fits raw labels, and a model's configuration."""

import pytest
from transformers import BertConfig

from crild.tasks import TASK_NAMES
from crild.tasks.registry import TASK_TYPES, task_type_of, task_type_of_labels


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (["0", "1", "1", None], "classification"),
        ([1.0, 2.0, 5.0], "classification"),
        (["0.5", "3", ""], "regression"),
        (list(range(40)), "regression"),
        (["good", "bad"], "classification"),
        ([None, None], "classification"),
    ],
)
def test_numbers_become_classes_or_quantities(raw, expected):
    assert task_type_of_labels(raw).name == expected


@pytest.mark.parametrize("name", TASK_NAMES)
def test_a_model_says_what_it_does(name):
    task_type = TASK_TYPES[name]
    assert task_type.name == name
    config = BertConfig(**task_type.head(["a", "b", "c"] if task_type.named else []))
    assert task_type_of(config) is task_type


def test_a_model_that_says_nothing_has_classes_unless_it_has_one_output():
    assert task_type_of(BertConfig(num_labels=1)).name == "regression"
    assert task_type_of(BertConfig(num_labels=2)).name == "classification"
