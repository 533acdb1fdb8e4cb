"""MGSKD: words by their number, the weights of its terms."""

from dataclasses import replace

import pytest
import torch

from tests.objectives.situations import SITUATIONS, check_values, situations_of
from tests.oracles import mean


@pytest.mark.parametrize("name", situations_of("mgskd"))
def test_values_agree_with_slow_loops(name):
    check_values(name)


def test_words_are_matched_by_their_number_and_not_by_their_place():
    objective, student, teacher = SITUATIONS["mgskd, 3 layers"].make()
    before = mean(objective(student, teacher)["span_pairs"])
    renumbered = torch.where(teacher.words < 0, teacher.words, 5 * (20 - teacher.words))
    after = mean(objective(student, replace(teacher, words=renumbered))["span_pairs"])
    assert after == pytest.approx(before, rel=1e-12)


def test_samples_weigh_four_times_tokens_and_spans():
    objective, _, _ = SITUATIONS["mgskd, 3 layers"].make()
    assert objective.weights == {
        "token_pairs": 1.0,
        "token_angles": 1.0,
        "span_pairs": 1.0,
        "span_angles": 1.0,
        "sample_angles": 4.0,
    }
