"""Order of rows, padding, words."""

import numpy as np
import pytest
import torch
from datasets import Dataset

from crild.data.batching import Collator, LengthGroupedSampler, StepBatches, batches_by_length, divide
from crild.models.interpolation import Mixing
from tests.tiny import tiny_tokenizer


def test_sampler_is_a_permutation_in_batches_of_like_length():
    lengths = np.random.default_rng(0).integers(3, 60, 1003).tolist()
    sampler = LengthGroupedSampler(lengths, 16, 1, 2)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == list(range(1003))
    batches = [orders[0][i : i + 16] for i in range(0, 1003, 16)]
    spread = np.mean([np.ptp([lengths[i] for i in batch]) for batch in batches])
    assert spread < 10  # of 56 without grouping
    assert any(batch != sorted(batch, key=lambda i: -lengths[i]) for batch in batches)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 63])
def test_sampler_takes_every_row_of_small_data(count):
    sampler = LengthGroupedSampler([5] * count, 16, 0)
    assert sorted(sampler) == list(range(count))
    assert len(sampler) == count


def test_random_batches_leave_different_rows_out_of_each_epoch():
    lengths = np.random.default_rng(0).integers(3, 60, 107).tolist()
    sampler = LengthGroupedSampler(lengths, 16, 1, 2, grouped=False, drop_last=True)
    assert len(sampler) == 96
    orders, left_out = [], []
    for epoch in (0, 1, 0, 2):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
        assert len(orders[-1]) == len(set(orders[-1])) == 96
        left_out.append(frozenset(range(107)) - set(orders[-1]))
    assert orders[0] == orders[2]
    assert len(set(left_out)) == 3
    spread = np.mean([np.ptp([lengths[i] for i in orders[0][j : j + 16]]) for j in range(0, 96, 16)])
    assert spread > 40  # of 56: nothing is sorted
    grouped = LengthGroupedSampler(lengths, 16, 1, 2, drop_last=True)
    assert len(list(grouped)) == len(grouped) == 96
    everything = LengthGroupedSampler(lengths, 16, 1, 2, grouped=False)
    assert sorted(everything) == list(range(107))


@pytest.mark.parametrize("count", [1, 15, 16])
def test_random_batches_keep_every_row_of_small_data(count):
    sampler = LengthGroupedSampler([5] * count, 16, 0, grouped=False, drop_last=True)
    assert sorted(sampler) == list(range(count))
    assert len(sampler) == count


def test_collator_pads_and_marks_missing_labels():
    data = [{"input_ids": [2, 5, 3], "attention_mask": [1, 1, 1], "labels": None, "teacher_logits": [0.5, 1.0]},
            {"input_ids": [2, 3], "attention_mask": [1, 1], "labels": 1.0, "teacher_logits": [1.5, 0.0]}]  # fmt: skip
    batch = Collator(tiny_tokenizer())(data)
    assert batch["input_ids"].tolist() == [[2, 5, 3], [2, 3, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["labels"].isnan().tolist() == [True, False]
    assert batch["teacher_logits"].shape == (2, 2)
    assert "words" not in batch
    longer = Collator(tiny_tokenizer(), 5)(data)
    assert longer["input_ids"].tolist() == [[2, 5, 3, 0, 0], [2, 3, 0, 0, 0]]
    assert longer["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]
    assert torch.equal(longer["labels"].isnan(), batch["labels"].isnan())


@pytest.mark.parametrize("length", [None, 6])
@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_belongs_to_no_word_and_has_type_0(side, length):
    tokenizer = tiny_tokenizer()
    tokenizer.padding_side = side
    data = [
        {"input_ids": [2, 5, 6, 3], "attention_mask": [1] * 4, "token_type_ids": [0, 0, 1, 1], "words": [-1, 0, 1, -1]},
        {"input_ids": [2, 7, 3], "attention_mask": [1] * 3, "token_type_ids": [0, 0, 1], "words": [-1, 0, -1]},
    ]
    batch = Collator(tokenizer, length)(data)
    assert batch.keys() == {"input_ids", "attention_mask", "token_type_ids", "words"}
    expected = {
        "input_ids": ([2, 5, 6, 3], [2, 7, 3], 0),
        "attention_mask": ([1] * 4, [1] * 3, 0),
        "token_type_ids": ([0, 0, 1, 1], [0, 0, 1], 0),
        "words": ([-1, 0, 1, -1], [-1, 0, -1], -1),
    }
    for name, (*each, filler) in expected.items():
        for found, values in zip(batch[name].tolist(), each, strict=True):
            padding = [filler] * ((length or 4) - len(values))
            assert found == (values + padding if side == "right" else padding + values), name


@pytest.mark.parametrize("selected", [False, True])
def test_batches_by_length_are_those_of_single_rows_and_read_the_table_once_a_batch(selected, monkeypatch):
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 12, 50).tolist()
    rows = Dataset.from_dict(
        {
            "input_ids": [rng.integers(4, 20, n).tolist() for n in lengths],
            "attention_mask": [[1] * n for n in lengths],
            "words": [[-1, *range(n - 2), -1] for n in lengths],
            "length": lengths,
            "labels": [None if i % 3 else float(i) for i in range(50)],
        }
    )
    rows = rows.select(range(49, -1, -2)) if selected else rows
    collate = Collator(tiny_tokenizer())
    order = np.argsort(rows["length"][:], kind="stable")
    expected = [(order[i : i + 8], collate([rows[int(j)] for j in order[i : i + 8]])) for i in range(0, len(rows), 8)]
    reads = []
    table = Dataset._getitem
    monkeypatch.setattr(Dataset, "_getitem", lambda self, *args, **o: reads.append(1) or table(self, *args, **o))
    got = list(batches_by_length(rows, collate, 8))
    assert len(reads) == len(got) + 1
    assert len(got) == len(expected)
    for (chosen, batch), (wanted, other) in zip(got, expected, strict=True):
        assert chosen.tolist() == wanted.tolist()
        assert batch.keys() == other.keys()
        for name in batch:
            torch.testing.assert_close(batch[name], other[name], equal_nan=True)


@pytest.mark.parametrize("partners", [None, "neighbour", "reversed"])
def test_a_step_is_divided_without_parting_partners(partners):
    for count in (*range(1, 20), 49, 64):
        everyone = Mixing.of(partners, 0.5, count).partners.tolist() if partners else None
        for parts in (1, 2, 3, 4, 8):
            shares = divide(count, parts, partners)
            assert len(shares) == parts
            assert sorted(i for share in shares for i in share) == list(range(count))
            assert shares[0]
            assert max(map(len, shares)) <= -(-count // parts) + 3
            for share in shares if partners else ():
                own = Mixing.of(partners, 0.5, len(share)).partners.tolist()
                assert [share[j] for j in own] == [everyone[i] for i in share]


@pytest.mark.parametrize(
    ("count", "accumulation", "processes"), [(48, 1, 2), (49, 1, 2), (50, 4, 1), (33, 2, 3), (5, 4, 2)]
)
def test_micro_batches_of_all_processes_make_up_the_steps_of_one(count, accumulation, processes):
    order = LengthGroupedSampler([5] * count, 16, 0)
    rows = list(order)
    of_each = [StepBatches(order, 16, accumulation, "neighbour", p, processes) for p in range(processes)]
    batches = [list(each) for each in of_each]
    assert {len(each) for each in batches} == {len(of_each[0])}
    for step in range(of_each[0].steps):
        counted = [each.counted(step) for each in of_each]
        own = [[each.pop(0) for _ in flags] for each, flags in zip(batches, counted, strict=True)]
        assert all(batch for each in own for batch in each)  # a stand-in has rows
        taken = [
            i for each, flags in zip(own, counted, strict=True) for batch, flag in zip(each, flags, strict=True)
            if flag for i in batch
        ]  # fmt: skip
        assert sorted(taken) == sorted(rows[step * 16 : (step + 1) * 16])
    assert not any(batches)
