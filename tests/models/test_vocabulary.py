"""A trimmed vocabulary: the same logits for what is kept, pieces for what is not; every kind of tokenizer."""

import random

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast

import crild
from crild.errors import CrildError
from crild.models import loading  # noqa: F401  (registers the static student)
from crild.models.static import static_student
from crild.models.vocabulary import share_split, steps_to, trim
from crild.run import execute
from tests.architectures import ARCHITECTURES, small_model
from tests.tiny import WORDS, save_tiny, tiny_tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SYLLABLES = ["lo", "mi", "ran", "te", "sul", "ka", "bo", "vi", "né", "dor"]
STRANGE = ["Ещё один текст 日本語 ไทย", "🙂🙃 👩‍👩‍👧 lomi", "", "\n\t ", "ranlo " * 10_000, "x" * 300, "<mask> <s>lo"]


def texts_of(seed: int, count: int) -> list[str]:
    """Texts of made-up words; another seed has other words of the same letters."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(60)]
    return [" ".join(rng.choices(words, k=rng.randint(2, 9))) for _ in range(count)]


USED, OTHERS = texts_of(0, 40), texts_of(1, 40)


def learned(model, pre_tokenizer, trainer, **options):
    core = Tokenizer(model)
    core.normalizer, core.pre_tokenizer = normalizers.Lowercase(), pre_tokenizer
    core.train_from_iterator(USED + OTHERS, trainer(vocab_size=420, special_tokens=SPECIAL, **options))
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(zip(("cls_token", "pad_token", "sep_token", "unk_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=48, **names)


@pytest.fixture(scope="module")
def tokenizers():
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return {
        "WordPiece": learned(
            models.WordPiece(unk_token="<unk>"), pre_tokenizers.Whitespace(), trainers.WordPieceTrainer
        ),
        "BPE": learned(
            models.BPE(), pre_tokenizers.ByteLevel(), trainers.BpeTrainer, initial_alphabet=alphabet, min_frequency=1
        ),
        "Unigram": learned(
            models.Unigram(), pre_tokenizers.Metaspace(), trainers.UnigramTrainer, unk_token="<unk>"
        ),
    }  # fmt: skip


KINDS = ("WordPiece", "BPE", "Unigram")


def logits(model, tokenizer, texts):
    with torch.no_grad():
        return model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits


def model_for(tokenizer, name="bert", **options):
    return small_model(name, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **options)


def reloaded(trimmed, folder):
    trimmed.model.save_pretrained(folder)
    trimmed.tokenizer.save_pretrained(folder)
    return AutoModelForSequenceClassification.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_whose_tokens_are_kept_are_read_the_same_and_others_in_pieces(tokenizers, kind, tmp_path):
    whole = tokenizers[kind]
    model = model_for(whole)
    trimmed = trim(model, whole, USED)
    assert (trimmed.kept, trimmed.before) == (len(trimmed.tokenizer), len(whole))
    assert trimmed.kept < trimmed.before - 20
    assert trimmed.model.config.vocab_size == trimmed.kept == len(trimmed.model.get_input_embeddings().weight)
    kept = set(trimmed.tokenizer.get_vocab())
    assert len(model.get_input_embeddings().weight) == len(whole) == trimmed.before  # what was given stays

    again, tokenizer = reloaded(trimmed, tmp_path)
    assert tokenizer.model_max_length == whole.model_max_length
    assert tokenizer.special_tokens_map == whole.special_tokens_map
    expected = logits(model, whole, USED)
    assert expected.std(0).min() > 1e-3
    for each in (logits(trimmed.model, trimmed.tokenizer, USED), logits(again, tokenizer, USED)):
        assert torch.equal(each, expected)
    for text in USED + OTHERS + STRANGE:
        before, after = whole.tokenize(text), tokenizer.tokenize(text)
        if set(before) <= kept:
            assert after == before
        assert after.count("<unk>") <= before.count("<unk>")
        bare = [token.removeprefix("##") for token in after]  # nothing is lost: the pieces spell the same text
        if "<unk>" not in before:
            assert "".join(bare) == "".join(token.removeprefix("##") for token in before)
    assert set(whole.tokenize(" ".join(OTHERS))) - kept
    assert torch.isfinite(logits(again, tokenizer, STRANGE)).all()
    assert torch.equal(logits(again, tokenizer, STRANGE[:2]), logits(trimmed.model, trimmed.tokenizer, STRANGE[:2]))


@pytest.mark.parametrize("name", [*ARCHITECTURES, "static"])
def test_every_architecture_answers_the_same_after_trimming_saving_and_loading(tokenizers, name, tmp_path):
    kind = KINDS[len(name) % 3]
    whole = tokenizers[kind]
    model = static_student(model_for(whole), seed=1) if name == "static" else model_for(whole, name)
    trimmed = trim(model, whole, USED)
    again, tokenizer = reloaded(trimmed, tmp_path)
    assert again.config.pad_token_id == tokenizer.pad_token_id
    assert torch.equal(logits(again, tokenizer, USED[:8]), logits(model, whole, USED[:8]))
    assert len(again.get_input_embeddings().weight) == trimmed.kept < trimmed.before


def test_ids_that_the_configuration_names_follow_their_tokens(tokenizers):
    """Special tokens at the end of the vocabulary, as ModernBERT's and DeBERTa's are."""
    words = {f"w{i}": i for i in range(30)}
    core = Tokenizer(models.WordLevel({**words, "[UNK]": 30, "[PAD]": 31, "[CLS]": 32, "[SEP]": 33}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.BertProcessing(("[SEP]", 33), ("[CLS]", 32))
    whole = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    model = model_for(whole, "modernbert", cls_token_id=32, sep_token_id=33, bos_token_id=32, eos_token_id=3)
    texts = ["w1 w2 w1", "w9 w1"]
    trimmed = trim(model, whole, texts)
    config = trimmed.model.config
    assert trimmed.tokenizer.get_vocab() == {"w1": 0, "w2": 1, "w3": 2, "w9": 3} | {
        "[UNK]": 4, "[PAD]": 5, "[CLS]": 6, "[SEP]": 7
    }  # fmt: skip
    assert (config.pad_token_id, config.cls_token_id, config.sep_token_id) == (5, 6, 7)
    assert (config.bos_token_id, config.eos_token_id) == (6, 2)
    assert trimmed.model.get_input_embeddings().padding_idx == 5
    assert torch.equal(logits(trimmed.model, trimmed.tokenizer, texts), logits(model, whole, texts))


def test_positions_that_are_counted_from_the_padding_stay(tokenizers):
    """RoBERTa's positions begin behind the padding's id: where tokens before it went, every position would move."""
    core = Tokenizer(models.WordLevel({f"w{i}": i for i in range(5)} | {"<pad>": 5, "<unk>": 6}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    whole = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", unk_token="<unk>")
    for name, kept in (("roberta", 7), ("bert", 3)):
        model = model_for(whole, name, bos_token_id=None, eos_token_id=None)
        trimmed = trim(model, whole, ["w4"])
        assert trimmed.kept == kept
        assert torch.equal(logits(trimmed.model, trimmed.tokenizer, ["w4"]), logits(model, whole, ["w4"]))


def test_a_unigram_tokenizer_weighs_the_unknown_as_before():
    """What is unknown costs 10 more than the least likely token, and its id may be any."""
    pieces = [("▁", -2.0), ("▁re", -3.0), ("<unk>", 0.0), ("<pad>", 0.0), ("a", -2.0), ("b", -3.0), ("aéb", -20.0),
              ("▁ra", -40.0), ("r", -9.0), ("e", -9.0)]  # fmt: skip
    core = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    whole = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", pad_token="<pad>")
    texts = ["aéb", "aab", "aéa"]
    trimmed = trim(model_for(whole), whole, texts)
    assert "▁re" not in trimmed.tokenizer.get_vocab()
    for text in texts:  # were -40 gone, an unknown é would cost 19 and a, é, b less than aéb
        assert trimmed.tokenizer.tokenize(text) == whole.tokenize(text)
    assert whole.tokenize("aéb") == ["▁", "aéb"]
    assert trimmed.tokenizer.convert_tokens_to_ids(trimmed.tokenizer.tokenize("aéa")).count(
        trimmed.tokenizer.unk_token_id
    ) == 1  # fmt: skip
    assert trimmed.tokenizer.unk_token_id == trimmed.tokenizer.get_vocab()["<unk>"] == 1


def test_a_bpe_token_needs_the_merges_that_lead_to_it():
    ranks = {("a", "b"): 0, ("c", "d"): 1, ("b", "c"): 2, ("ab", "cd"): 3, ("a", "bc"): 4}
    assert steps_to("abcd", ranks) == ["abcd", "ab", "cd", "abcd"]
    assert steps_to("bc", ranks) == ["bc", "bc"]
    assert steps_to("x", ranks) == ["x"]
    assert steps_to("abab", {("a", "b"): 0, ("b", "a"): 1}) == ["abab", "ab", "ab"]


def test_a_minimum_and_a_size_keep_the_most_frequent(tokenizers):
    whole = tokenizers["WordPiece"]
    model = model_for(whole)
    counts = dict.fromkeys(whole.get_vocab(), 0)
    for text in USED:
        for token in whole.tokenize(text):
            counts[token] += 1
    always = trim(model, whole, [])
    fixed = set(always.tokenizer.get_vocab())
    assert fixed == {t for t in counts if t in SPECIAL or len(t.removeprefix("##")) == 1}
    three = set(trim(model, whole, USED, minimum=3).tokenizer.get_vocab())
    assert three == fixed | {token for token, count in counts.items() if count >= 3}
    some = trim(model, whole, USED, size=len(fixed) + 5)
    chosen = set(some.tokenizer.get_vocab()) - fixed
    assert some.kept == len(fixed) + 5
    assert min(counts[t] for t in chosen) >= max(n for t, n in counts.items() if t not in chosen | fixed)
    with pytest.raises(CrildError, match=f"of 3 tokens has no room for the {len(fixed)} special tokens"):
        trim(model, whole, USED, size=3)


def test_the_share_that_is_split_further():
    core = Tokenizer(
        models.WordPiece({t: i for i, t in enumerate(["<unk>", "a", "##b", "ab", "b", "##a", "ba"])}, unk_token="<unk>")
    )
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    whole = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", pad_token="<unk>")
    trimmed = trim(model_for(whole), whole, ["ab"]).tokenizer
    assert trimmed.tokenize("ab ba") == ["ab", "b", "##a"]
    assert share_split(whole, trimmed, ["ab ab", "ba a"]) == 0.25  # of ab, ab, ba, a
    assert (
        share_split(whole, trimmed, ["ab", ""])
        == share_split(whole, whole, ["ba"])
        == share_split(whole, whole, [])
        == 0
    )


def test_a_word_that_single_pieces_cannot_spell_is_kept():
    pieces = ["<unk>", "a", "##b", "ab", "az", "zab"]
    core = Tokenizer(models.WordPiece({t: i for i, t in enumerate(pieces)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    whole = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", pad_token="<unk>")
    assert set(trim(model_for(whole), whole, []).tokenizer.get_vocab()) == {"<unk>", "a", "##b", "az", "zab"}


def test_what_cannot_be_trimmed_is_refused_in_one_line(tokenizers, monkeypatch):
    marked = Tokenizer(models.BPE({"a</w>": 0, "a": 1, "<pad>": 2}, [], end_of_word_suffix="</w>"))
    whole = PreTrainedTokenizerFast(tokenizer_object=marked, pad_token="<pad>")
    with pytest.raises(CrildError, match="BPE tokenizer with marked pieces cannot be trimmed"):
        trim(model_for(whole), whole, ["a"])
    other = tiny_tokenizer()
    with pytest.raises(CrildError, match=f"tokenizer has {len(other)} tokens and the model embeddings for 20"):
        trim(small_model("bert", vocab_size=20), other, ["a"])
    monkeypatch.setattr(BertTokenizer, "is_fast", False)
    with pytest.raises(CrildError, match=r"a BertTokenizer has no tokenizer\.json"):
        trim(small_model("bert"), BertTokenizer(), ["a"])
    monkeypatch.setattr("crild.models.vocabulary.find_spec", lambda name: None)
    with pytest.raises(CrildError, match="needs skeletoken: pip install"):
        trim(small_model("bert"), other, ["a"])


# ---- whole runs: --vocabulary ----

UNUSED = ["comedy", "thriller", "sequel"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A classifier that knows words which the data has not."""
    return save_tiny(tmp_path_factory.mktemp("teacher"), head=True, words=[*WORDS[:8], *UNUSED, *WORDS[8:]])


def options_of(teacher, film_data, output, **more):
    return {
        "teacher": str(teacher), "data": str(film_data), "student": "2", "method": "kd", "max_steps": 4,
        "label_map": "neg=neg,pos=pos", "precision": "fp32", "output": str(output), **more,
    }  # fmt: skip


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_run_trims_its_finished_student_and_scores_what_it_saves(teacher, film_data, tmp_path, monkeypatch):
    plain = crild.distill(**options_of(teacher, film_data, tmp_path / "plain"))
    options = options_of(teacher, film_data, tmp_path / "auto", vocabulary="auto")
    with monkeypatch.context() as patch:  # ended between the student's folder and the result
        patch.setattr(execute, "write_card", interrupt)
        with pytest.raises(KeyboardInterrupt):
            crild.distill(**options)
    result = crild.distill(**options)
    student, before, run = result["student"], plain["student"], result.folder
    whole = len(WORDS) + len(UNUSED) + 4
    assert student["vocabulary"] == {"kept": whole - 3, "before": whole, "split_further": 0}
    assert f"the student keeps {whole - 3} of {whole} tokens; 0.0% of the tokens" in result.notes[-1]
    assert before["parameters"] - student["parameters"] == 3 * 32
    assert before["bytes"] - student["bytes"] == 3 * 32 * 4
    for name in ("student", "control"):  # the same training, and answers
        assert result[name]["scores"] == plain[name]["scores"]
        assert len(getattr(run, name).get_input_embeddings().weight) == whole - 3
        ours, theirs = (each.predictions[f"{name}_probabilities"].tolist() for each in (run, plain.folder))
        assert [list(row) for row in ours] == [list(row) for row in theirs]
    assert "vocabulary" not in before
    assert not set(UNUSED) & set(run.tokenizer.get_vocab())
    assert crild.evaluate(model=str(tmp_path / "auto"), data=str(film_data))["score"] == student["score"]
    assert (
        f"Vocabulary: {whole - 3} of the teacher's {whole} tokens" in (tmp_path / "auto/student/README.md").read_text()
    )
    assert crild.RunFolder.open(tmp_path / "auto").result == result


def test_a_size_keeps_fewer_and_what_cannot_be_is_refused_before_training(teacher, film_data, tmp_path, monkeypatch):
    options = options_of(teacher, film_data, tmp_path / "size", control=False, student="static", max_steps=1)
    student = crild.distill(**options, vocabulary=15)["student"]
    assert student["vocabulary"]["kept"] == 15
    assert 0.1 < student["vocabulary"]["split_further"] < 0.9
    assert crild.evaluate(model=str(tmp_path / "size"), data=str(film_data))["score"] == student["score"]
    options["output"] = str(tmp_path / "none")
    for spec, said in (("3", "vocabulary of 3 tokens has no room for the 4 special"), ("some", "neither auto nor"),
                       ("0", "neither auto nor"), ("-5", "neither auto nor")):  # fmt: skip
        with pytest.raises(CrildError, match=said):
            crild.distill(**options, vocabulary=spec)
    monkeypatch.setattr("crild.models.vocabulary.find_spec", lambda name: None)
    with pytest.raises(CrildError, match="--vocabulary needs skeletoken: pip install"):
        crild.distill(**options | {"teacher": "nowhere/at-all"}, vocabulary="auto")
    assert not (tmp_path / "none").exists()
