"""The caller's random state is the caller's."""

import random

import numpy as np
import pytest
import torch

from crild.randomness import own_random_state


def streams():
    return random.getstate(), tuple(map(str, np.random.get_state())), torch.get_rng_state().tolist()


def disturb():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


def test_random_states_are_the_callers_again_afterwards():
    torch.manual_seed(11)
    np.random.seed(11)
    random.seed(11)
    before = streams()
    with own_random_state():
        disturb()
        assert all(now != then for now, then in zip(streams(), before, strict=True))
    assert streams() == before


def test_also_after_an_error_and_as_a_decorator():
    @own_random_state()
    def fail():
        disturb()
        raise KeyError

    before = streams()
    for _ in range(2):
        with pytest.raises(KeyError):
            fail()
    assert streams() == before
