"""Texts are tokenised once, and the same with and without a cache."""

import pytest
from datasets import Dataset, Value, disable_caching, enable_caching

from crild.config import FinetuneConfig
from crild.data import tokenise as module
from crild.data.doctor import Cut, check_data
from crild.data.task import load_task
from crild.data.tokenise import processes, serialised, tokenise
from tests.conftest import reviews, write_jsonl
from tests.tiny import tiny_tokenizer


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache" / "crild"


@pytest.fixture
def encoded(monkeypatch):
    """Numbers of rows that were really tokenised."""
    counts = []
    encode = module.encode

    def counting(batch, **options):
        counts.append(len(batch["text"]))
        return encode(batch, **options)

    monkeypatch.setattr(module, "encode", counting)
    return counts


def pairs(rows=200):
    texts = [row["text"] for row in reviews(rows)]
    return Dataset.from_dict(
        {"text": texts, "text_pair": texts[::-1], "labels": [None if i % 3 else float(i) for i in range(rows)]}
    )


def test_texts_are_tokenised_once(cache, encoded):
    first = tokenise(pairs(), tiny_tokenizer(), 12, words=True)
    again = tokenise(pairs(), tiny_tokenizer(), 12, words=True)
    assert sum(encoded) == 200
    assert again.to_dict() == first.to_dict()
    assert again.features == first.features
    assert len(list(cache.glob("*.arrow"))) == 1


def test_later_steps_write_nothing_into_the_cache(cache):
    for _ in range(2):
        rows = tokenise(pairs(), tiny_tokenizer(), 12)
        rows.select(range(0, 200, 3)).add_column("teacher_logits", [[0.0, 1.0]] * 67).cast_column(
            "length", Value("int32")
        )
    assert len(list(cache.iterdir())) == 1
    assert not rows.cache_files


def test_the_cache_changes_no_result(cache, encoded, monkeypatch):
    kept = [tokenise(pairs(), tiny_tokenizer(), 12) for _ in range(2)][-1]
    disable_caching()
    try:
        fresh = tokenise(pairs(), tiny_tokenizer(), 12)
    finally:
        enable_caching()
    assert sum(encoded) == 400
    assert fresh.to_dict() == kept.to_dict()
    assert fresh.features == kept.features


def test_what_is_kept_depends_on_all_that_decides_it(cache, encoded):
    rows, tokenizer = pairs(), tiny_tokenizer()
    tokenise(rows, tokenizer, 12)
    other_words = tiny_tokenizer(["zero", *tiny_tokenizer().get_vocab()])
    left = tiny_tokenizer()
    left.truncation_side = "left"
    for changed in (
        (rows, tokenizer, 13),
        (rows, tokenizer, 12, True),
        (rows, other_words, 12),
        (rows, left, 12),
        (rows.remove_columns("text_pair"), tokenizer, 12),
        (rows.select(range(199)), tokenizer, 12),
        (rows.select([1, 0, *range(2, 200)]), tokenizer, 12),
    ):
        before = len(encoded)
        tokenise(*changed)
        assert len(encoded) == before + 1
    before = len(encoded)
    tokenise(rows.remove_columns("labels").add_column("labels", [1.0] * 200), tokenizer, 12)
    assert len(encoded) == before  # labels do not decide it


def test_where_one_text_ends_is_part_of_the_texts(cache, encoded):
    for texts in (["good film", "bad"], ["good", " filmbad"]):
        tokenise(Dataset.from_dict({"text": texts, "labels": [0.0, 1.0]}), tiny_tokenizer(), 12)
    assert sum(encoded) == 4


def test_the_cache_file_gives_the_labels_of_the_rows_at_hand(cache):
    rows = pairs()
    tokenise(rows, tiny_tokenizer(), 12)
    other = rows.remove_columns("labels").add_column("labels", [[1.0, 0.0]] * 200)
    assert tokenise(other, tiny_tokenizer(), 12)["labels"][:] == [[1.0, 0.0]] * 200


@pytest.mark.parametrize("trouble", ["a file in the way", "no space", "a broken file"])
def test_a_cache_that_cannot_be_used_is_no_obstacle(trouble, cache, monkeypatch):
    expected = tokenise(pairs(), tiny_tokenizer(), 12).to_dict()
    (kept,) = cache.glob("*.arrow")
    if trouble == "a broken file":
        kept.write_bytes(kept.read_bytes()[:300])
    else:
        kept.unlink()
    if trouble == "a file in the way":
        cache.rmdir()
        cache.write_text("")
    if trouble == "no space":
        real = Dataset.map

        def full(self, *args, cache_file_name=None, **options):
            if cache_file_name is not None:
                raise OSError(28, "No space left on device")
            return real(self, *args, **options)

        monkeypatch.setattr(Dataset, "map", full)
    assert tokenise(pairs(), tiny_tokenizer(), 12).to_dict() == expected


def test_a_tokenizer_is_the_same_before_and_after_it_is_used():
    tokenizer = tiny_tokenizer()
    before = serialised(tokenizer)
    tokenizer(["good film"], truncation=True, max_length=3, padding="max_length")
    assert serialised(tokenizer) == before


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("columns", [["text"], ["text", "text_pair"]])
def test_truncated_rows_are_those_that_were_longer(columns, words, cache):
    rows, tokenizer = pairs().select_columns([*columns, "labels"]), tiny_tokenizer()
    done = tokenise(rows, tokenizer, 9, words)
    whole = tokenizer(*(rows[name][:] for name in columns))["input_ids"]
    assert done["truncated"][:] == [len(ids) > 9 for ids in whole]
    assert 0 < sum(done["truncated"][:]) < 200 or len(columns) == 2
    assert 9 in [len(ids) for ids in whole]  # full, and yet whole
    assert [len(ids) for ids in done["input_ids"]] == [min(9, len(ids)) for ids in whole] == done["length"][:]


def test_many_rows_of_a_slow_tokenizer_are_for_several_processes(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(4), raising=False)
    fast, slow = tiny_tokenizer(), type("Slow", (), {"is_fast": False})()
    assert processes(50_000, slow) == 4
    assert processes(1_000, slow) is None
    assert processes(50_000, fast) is None  # its own threads are as many
    assert processes(500_000, fast) == 4  # but what they find is written by one
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(1), raising=False)
    assert processes(50_000, slow) is None


def test_what_several_processes_tokenise_is_the_same_and_reused_by_one(cache, encoded, monkeypatch):
    disable_caching()
    try:
        alone = tokenise(pairs(), tiny_tokenizer(), 12)
    finally:
        enable_caching()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(2), raising=False)
    monkeypatch.setattr(module, "MANY_ROWS_OF_A_FAST_ONE", 100)
    together = tokenise(pairs(), tiny_tokenizer(), 12)
    assert len(list(cache.glob("*_of_00002.arrow"))) == 2
    monkeypatch.undo()
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache.parent)
    before = len(encoded)
    again = tokenise(pairs(), tiny_tokenizer(), 12)
    assert len(encoded) == before
    assert again.to_dict() == together.to_dict() == alone.to_dict()


def test_reading_splitting_and_tokenising_read_no_data_set_row_by_row(tmp_path, cache, monkeypatch):
    write_jsonl(tmp_path / "d.jsonl", reviews(3000))
    reads = []
    table = Dataset._getitem
    monkeypatch.setattr(Dataset, "_getitem", lambda self, *args, **o: reads.append(1) or table(self, *args, **o))
    rows = Dataset.__iter__
    monkeypatch.setattr(Dataset, "__iter__", lambda self: reads.extend([1] * len(self)) or rows(self))
    task = load_task(FinetuneConfig(data=str(tmp_path / "d.jsonl")))
    train = tokenise(task.train, tiny_tokenizer(), 16)
    checks = check_data(task, Cut.of(train, 16, 64))
    assert sum(checks.labels.values()) == len(task.train)
    assert len(reads) < 150
