"""One entry an architecture: each says the truth of the model that transformers builds."""

import subprocess
import sys

import pytest
from torch import nn

from crild.models.architecture import ARCHITECTURES, NAMES, OTHER, embedding_module, find_architecture, layer_stack
from tests.architectures import ARCHITECTURES as SMALL
from tests.architectures import small_model


@pytest.mark.parametrize("name", SMALL)
def test_an_entry_says_where_a_models_parts_are(name):
    model = small_model(name)
    entry = find_architecture(model.config)
    assert entry is not OTHER
    depth, stack = model.config.num_hidden_layers, layer_stack(model)
    lists = [n for n, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    assert stack == (None if name == "albert" else min(lists, key=len))
    assert entry.embeddings in dict(model.base_model.named_children())
    assert isinstance(getattr(model.config, entry.inner_width), int)
    attention = [m for m in model.modules() if type(m).__name__ == entry.attention]
    assert len(attention) == (depth if entry.attention else 0)
    assert all(isinstance(getattr(m, projection), nn.Linear) for m in attention for projection in entry.projections)


def test_every_entry_is_tried_and_named_once():
    assert {find_architecture(SMALL[name].config()) for name in SMALL} == set(ARCHITECTURES)
    assert len(set(NAMES)) == len(NAMES)


def test_a_model_outside_the_table_is_taken_to_be_made_like_most(monkeypatch):
    model = small_model("bert")
    expected = embedding_module(model), layer_stack(model)
    monkeypatch.setattr(type(model.config), "model_type", "of-my-own")
    assert find_architecture(model.config) is OTHER
    assert (embedding_module(model), layer_stack(model)) == expected


def test_listing_methods_and_architectures_needs_no_torch():
    code = (
        "import sys; from crild.cli import main; main(['methods']); "
        "sys.exit(', '.join({'torch', 'transformers', 'datasets'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "cr-ild" in done.stdout
    assert "ModernBERT" in done.stdout
