"""Models as OpenVINO's files."""

import numpy as np
import pytest
import torch

from crild.models.static import static_student
from crild.serving.folder import bytes_of
from crild.serving.openvino import write_openvino
from crild.serving.session import openvino_runner
from tests.architectures import padded_batch, small_model

pytest.importorskip("openvino")


def test_a_static_student_gives_pytorchs_logits_at_any_size(tmp_path):
    student = static_student(small_model("bert"), seed=1)
    write_openvino(student, padded_batch((11, 5, 7)), tmp_path / "model.xml")
    assert bytes_of(tmp_path / "model.xml") > (tmp_path / "model.bin").stat().st_size > 60 * 24 * 4
    run = openvino_runner(tmp_path / "model.xml", 1)
    for lengths in ((9, 5, 7, 3, 6), (1,)):
        batch = padded_batch(lengths)
        with torch.no_grad():
            expected = student(**batch).logits.numpy()
        assert np.abs(run({name: values.numpy() for name, values in batch.items()}) - expected).max() < 1e-5
