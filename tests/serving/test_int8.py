"""The choice among schemes of quantisation: measured."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from crild.errors import CrildError
from crild.serving import int8
from crild.serving.int8 import TIERS, choose
from crild.serving.proof import Compared
from crild.serving.session import Session
from tests.conftest import reviews

SCHEMES = [scheme for tier in TIERS for scheme in tier]
TEXTS = [row["text"] for row in reviews(30, seed=5)]


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """The choice where each scheme loses, agrees and differs as planted; files that were written."""

    def choose_among(planted, tolerance=0.01, ends=("node",)):
        monkeypatch.setattr(
            int8, "quantise", lambda source, scheme, ends, path: path.write_text(str(SCHEMES.index(scheme)))
        )

        def judge(path):
            lost, agreement, rms, *error = planted.get(int(path.read_text()), (0.5, 0.5, 1.0))
            return Compared(0.9, 0.9 - lost, agreement, rms, rms, *error or [0.0])

        best, tried = choose(tmp_path / "fp32.onnx", list(ends), judge, tolerance)
        return SCHEMES.index(best.scheme), [SCHEMES.index(each.scheme) for each in tried]

    return choose_among


def test_of_the_first_schemes_the_best_agreement_wins_then_the_smallest_difference(chosen):
    assert chosen({0: (0, 0.98, 0.1), 1: (0, 0.99, 0.3), 2: (0, 0.99, 0.2)}) == (2, [0, 1, 2])


def test_larger_files_are_tried_only_where_the_small_ones_lose_too_much(chosen):
    assert chosen({0: (0.02, 0.9, 0.1), 3: (0.01, 0.95, 0.1)}) == (3, [0, 1, 2, 3])
    assert chosen({0: (0.02, 0.9, 0.1), 4: (0.001, 0.95, 0.1)}) == (4, [0, 1, 2, 3, 4, 5])
    assert chosen({0: (0.02, 0.9, 0.1)}, tolerance=0.05) == (0, [0, 1, 2])


def test_a_loss_within_a_standard_error_costs_no_larger_file(chosen):
    assert chosen({0: (0.02, 0.98, 0.1, 0.013)}) == (0, [0, 1, 2])
    assert chosen({0: (0.02, 0.98, 0.1, 0.005), 3: (0, 0.99, 0.1)}) == (3, [0, 1, 2, 3])


def test_if_all_lose_too_much_the_one_that_loses_least_is_taken(chosen):
    assert chosen({2: (0.2, 0.7, 0.1)}) == (2, [0, 1, 2, 3, 4, 5])


def test_a_model_without_layers_has_no_ends_to_leave_out(chosen):
    assert chosen({}, ends=())[1] == [i for i, scheme in enumerate(SCHEMES) if scheme.ends]


def test_schemes_make_files_of_the_sizes_that_they_say(in_fp32, tmp_path):
    folder = Path(shutil.copytree(in_fp32.folder, tmp_path / "served"))
    exact, sizes = Session(folder, 1).logits(TEXTS), []
    for scheme in (SCHEMES[0], SCHEMES[3], SCHEMES[4]):
        int8.quantise(folder / "model.onnx", scheme, in_fp32.ends, folder / "int8.onnx")
        sizes.append((folder / "int8.onnx").stat().st_size)
        assert 0 < np.abs(Session(folder, 1, "int8.onnx").logits(TEXTS) - exact).max() < 0.5, scheme.name
    whole, ends, embeddings = sizes
    assert whole < embeddings < (folder / "model.onnx").stat().st_size
    assert whole < ends


def test_what_cannot_be_quantised_is_told_in_one_line(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(CrildError, match=r"ONNX Runtime cannot quantise this model .* use --quantize none") as error:
        int8.quantise(tmp_path / "broken.onnx", SCHEMES[0], [], tmp_path / "out.onnx")
    assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError):  # the disk's fault, not the model's
        int8.quantise(tmp_path / "absent.onnx", SCHEMES[0], [], tmp_path / "out.onnx")
