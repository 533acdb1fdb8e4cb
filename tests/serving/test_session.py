"""An exported folder in use."""

import numpy as np

from crild.serving.session import Session
from tests.conftest import reviews

TEXTS = [row["text"] for row in reviews(40, seed=3)]


def test_logits_come_in_the_order_of_the_texts_whatever_the_batches_are(in_fp32):
    session = Session(in_fp32.folder, 1)
    alone = np.concatenate([session.run(session.encode([text])) for text in TEXTS])
    for batch_size in (1, 7, 64):
        np.testing.assert_allclose(session.logits(TEXTS, batch_size), alone, atol=1e-5)
    np.testing.assert_allclose(session.logits(TEXTS[::-1]), alone[::-1], atol=1e-5)


def test_pairs_are_read_as_pairs(in_fp32):
    session = Session(in_fp32.folder, 1)
    inputs = session.encode([("good film", "bad plot"), ("a", "nice end")])
    assert inputs["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 0]]
    assert inputs["attention_mask"].tolist() == [[1] * 7, [1, 1, 1, 1, 1, 1, 0]]
    assert session.logits([("good film", "bad plot")]).shape == (1, 2)
