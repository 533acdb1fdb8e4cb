"""Whether a checkpoint is whole: every way in which its files can have suffered."""

import json

import pytest

from crild.checkpoints import SUMS, checkpoints, flaw, seal, step_of


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint-20"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(1000))
    (folder / "optimizer.pt").write_bytes(bytes(range(200)))
    (folder / "shards").mkdir()
    (folder / "shards/0").write_bytes(bytes(9))
    seal(folder)
    return folder


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "said", "seen_by_sizes"),
    [
        (lambda c: (c / "optimizer.pt").write_bytes(bytes(100)), "optimizer.pt has 100 of 200 bytes", True),
        (lambda c: (c / "model.safetensors").unlink(), "model.safetensors is missing", True),
        (lambda c: (c / "shards/0").unlink(), "shards/0 is missing", True),
        (lambda c: flip(c / "model.safetensors"), "model.safetensors is not as it was written", False),
        (lambda c: (c / SUMS).unlink(), f"No such file or directory: {'{}'}/{SUMS}", True),
        (lambda c: (c / SUMS).write_text('{"model'), f"{SUMS} cannot be read", True),
        (lambda c: (c / SUMS).write_text('{"model.safetensors": {}}'), f"{SUMS} cannot be read", True),
        (lambda c: (c / "more").write_text("x"), None, False),  # what somebody put there is no flaw
    ],
)
def test_a_flaw_is_named(harm, said, seen_by_sizes, checkpoint):
    assert flaw(checkpoint) is None
    harm(checkpoint)
    assert flaw(checkpoint) == (said and said.format(checkpoint))
    assert (flaw(checkpoint, thorough=False) is not None) == seen_by_sizes


def test_they_are_ordered_by_step(tmp_path):
    for step in (100, 20, 3):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "incomplete" / "checkpoint-200").mkdir(parents=True)
    assert [step_of(path) for path in checkpoints(tmp_path)] == [3, 20, 100]


def test_sums_are_of_every_file(checkpoint):
    assert json.loads((checkpoint / SUMS).read_text()).keys() == {"model.safetensors", "optimizer.pt", "shards/0"}
