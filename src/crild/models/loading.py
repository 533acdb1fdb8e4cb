"""Loading encoders and tokenizers, and refusing those that crild cannot distil."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
)

from crild import hub
from crild.config import short
from crild.data.tweets import model_folder
from crild.errors import CrildError, first_line
from crild.models.architecture import longest
from crild.models.static import StaticConfig, StaticForSequenceClassification
from crild.paths import is_path
from crild.tasks.registry import TASK_TYPES


class Loaded(NamedTuple):
    """A model, and whether its head was in the file (else it is fresh, drawn from torch's random stream)."""

    model: PreTrainedModel
    head_is_trained: bool


OTHER_HEADS = {
    "ForTokenClassification": "a token classifier",
    "ForQuestionAnswering": "a question-answering model",
    "ForMultipleChoice": "a multiple-choice model",
}
PROBES = (
    "A quick test.",
    "Größe: naïve café, 42 €!",
    "don't  UPPER-case\nnew_line",
    "日本語 🙂 unbelievably",
)
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")  # a pickle is a program, which runs when it is read
SAFE, PARTS = "model.safetensors", "model.safetensors.index.json"
MOST = {  # of a configuration that is one: more would fill the memory before anything is found to be wrong
    "num_hidden_layers": 1000,
    "num_attention_heads": 1000,
    "hidden_size": 100_000,
    "intermediate_size": 1_000_000,
    "vocab_size": 10_000_000,
    "max_position_embeddings": 10_000_000,
}
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")  # else transformers asks a service on the hub to convert
AutoConfig.register(StaticConfig.model_type, StaticConfig)
AutoModelForSequenceClassification.register(StaticConfig, StaticForSequenceClassification)


def located(name: str, revision: str | None) -> tuple[str, str | None]:
    """Return where a model is: the demo's encoder, a path, or a name on the hub and its revision."""
    return hub.pinned(model_folder(name), revision)


def of_commit(name: str, revision: str | None) -> str:
    """Return the commit that a model on the hub is loaded from, the same for all its files; its revision if unknown."""
    return (None if Path(name).exists() else hub.commit(name, "model", revision)) or revision or "main"


def load_config(name: str, role: str, trust_remote_code: bool = False, revision: str | None = None) -> Any:
    """Load a model's configuration and refuse what is out of scope.

    Args:
        name: folder, hub name (``owner/name`` or ``owner/name@REVISION``), or ``demo`` for the demo's encoder.
        role: how messages call it: ``teacher``, ``base``, ``student``.
        trust_remote_code, revision: as in transformers.

    Raises:
        CrildError: it is not there, or is no encoder for sequence classification.
    """
    name, revision = located(name, revision)
    path = Path(name)
    if not path.exists() and is_path(name):
        raise CrildError(f"{role}: no such folder: {name}")
    if path.exists() and not (path / "config.json").exists():
        raise CrildError(f"{role}: {name} is not a saved model (it has no config.json)")
    if not path.exists() and trust_remote_code and not hub.COMMIT.fullmatch(revision or ""):
        raise CrildError(
            f"{role}: --trust-remote-code runs what {name} holds on the hub, which may change: add --revision with the "
            "commit (40 digits) whose code you have read"
        )
    if not path.exists() and (reason := hub.absent(name, "model", revision)):
        raise CrildError(f"{role}: {reason}: {name}")
    try:
        config = AutoConfig.from_pretrained(
            name, trust_remote_code=trust_remote_code, revision=of_commit(name, revision)
        )
    except Exception as error:
        if not trust_remote_code and "trust_remote_code" in str(error):
            raise CrildError(
                f"{role}: {name} brings code of its own; --trust-remote-code runs it, if you have read it"
            ) from None
        what = f"cannot load {name}" if path.exists() else f"no folder {name}, and it cannot be loaded from the hub"
        raise CrildError(f"{role}: {what} ({first_line(error)})") from None
    kind = config.model_type
    architectures = (
        [str(each) for each in said] if isinstance(said := getattr(config, "architectures", None), list) else []
    )
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if causal or getattr(config, "is_decoder", False) or any("CausalLM" in a or "LMHead" in a for a in architectures):
        raise CrildError(f"{role}: {name} is a causal model ({kind}); crild distils encoders such as BERT")
    if getattr(config, "is_encoder_decoder", False):
        raise CrildError(f"{role}: {name} is an encoder-decoder model ({kind}); crild distils encoders such as BERT")
    if kind == StaticConfig.model_type and role in ("teacher", "base"):
        raise CrildError(f"{role}: {name} is a static model, which has no layers; name a Transformer encoder")
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING and not trust_remote_code:
        raise CrildError(f"{role}: {name} ({kind}) is not an encoder that transformers can classify text with")
    for suffix, what in OTHER_HEADS.items():
        if any(a.endswith(suffix) for a in architectures):
            raise CrildError(f"{role}: {name} is {what}; crild distils sequence classifiers")
    problem = getattr(config, "problem_type", None)
    if problem and problem not in {task_type.problem_type for task_type in TASK_TYPES.values()}:
        raise CrildError(f"{role}: {name} does {problem}, which crild does not distil")
    for key, most in MOST.items() if kind != StaticConfig.model_type else ():
        value = getattr(config, key, None)
        if value is not None and not (isinstance(value, int) and 0 < value <= most):
            raise CrildError(f"{role}: the configuration of {name} says {key}: {short(value)}, which no model has")
    labels = getattr(config, "id2label", None) or {}
    if list(labels) != list(range(len(labels))) or len(set(map(str, labels.values()))) < len(labels):
        raise CrildError(
            f"{role}: the configuration of {name} does not name its labels 0, 1, ... (id2label), each by a name of its "
            "own; mend its config.json"
        )
    return config


def refuse_unsafe(path: Path, role: str) -> None:
    """Raise `CrildError` where a folder's weights are not in safetensors files inside it.

    Args:
        path: of the folder.
        role: how messages call it.
    """
    if (path / "adapter_config.json").exists():
        raise CrildError(
            f"{role}: {path} is an adapter of another model; merge it into that (`merge_and_unload`) first"
        )
    if (path / SAFE).exists():
        if (path / SAFE).open("rb").read(8) == b"version ":
            raise CrildError(
                f"{role}: {path / SAFE} is what Git keeps in place of the weights; run `git lfs pull` there"
            )
    elif (path / PARTS).exists():
        try:
            parts = set(json.loads((path / PARTS).read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise CrildError(f"{role}: {path / PARTS} is not readable") from None
        if wrong := [part for part in parts if Path(str(part)).name != part or not part.endswith(".safetensors")]:
            raise CrildError(
                f"{role}: {path / PARTS} names {wrong[0]!r}, which is outside its folder or no safetensors"
            )
    elif found := [name for name in PICKLES if (path / name).exists()]:
        raise CrildError(
            f"{role}: {path} holds its weights as a pickle ({found[0]}), which may run anything when it is read; if "
            "you trust it, convert it: AutoModelForSequenceClassification.from_pretrained(old).save_pretrained(new)"
        )


def load_model(
    name: str,
    role: str,
    head: dict[str, Any] | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> Loaded:
    """Load a sequence classifier in fp32.

    Args:
        name: as in `load_config`.
        role: how messages call it.
        head: configuration of a head that is to be trained, see `TaskType.head`; ``None`` keeps the model's own.
        trust_remote_code, revision: as in transformers.

    Returns:
        The model, and whether its head was in the file.

    Raises:
        CrildError: it cannot be loaded.
    """
    name, revision = located(name, revision)
    load_config(name, role, trust_remote_code, revision)
    refuse_unsafe(Path(name), role)
    options = head | {"ignore_mismatched_sizes": True} if head is not None else {}
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            name,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=trust_remote_code,
            revision=of_commit(name, revision),
            use_safetensors=True,
            **options,
        )
    except Exception as error:
        if "ignore_mismatched_sizes" in str(error):
            raise CrildError(
                f"{role}: the weights of {name} have other shapes than its config.json says; take both from one place"
            ) from None
        raise CrildError(f"{role}: cannot load the weights of {name} ({first_line(error)})") from None
    prefix = f"{model.base_model_prefix}."
    fresh = set(info["missing_keys"]) | {key for key, *_ in info.get("mismatched_keys", ())}
    body = [key for key in fresh if key.startswith(prefix) and "pooler" not in key]
    if body:
        raise CrildError(f"{role}: the weights of {name} lack {len(body)} tensors, {sorted(body)[0]} among them")
    refuse_lame(model, name, role)
    if broken := next((key for key, each in model.state_dict().items() if not each.isfinite().all()), None):
        raise CrildError(
            f"{role}: the weights of {name} are broken: {broken} holds numbers that are none (NaN, infinite)"
        )
    return Loaded(model, head_is_trained=not any(not key.startswith(prefix) for key in fresh))


def refuse_lame(model: PreTrainedModel, name: str, role: str) -> None:
    """Raise `CrildError` where a model does not answer to two tokens: its configuration is not its own."""
    was_training = model.training
    try:
        with torch.no_grad():
            logits = model.eval()(torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.long)).logits
        if logits.shape != (1, model.config.num_labels):
            raise ValueError(f"its answers are {tuple(logits.shape)}")
    except Exception as error:
        raise CrildError(f"{role}: {name} cannot be run ({first_line(error)}); see its config.json") from None
    model.train(was_training)


def label_names(config: Any) -> list[str]:
    """Return a model's label names in order."""
    return [str(config.id2label[i]) for i in range(config.num_labels)]


def longest_input(name: str, role: str, trust_remote_code: bool = False, revision: str | None = None) -> int:
    """Return the most tokens that a saved model takes, without reading its weights."""
    config = load_config(name, role, trust_remote_code, revision)
    try:
        with torch.device("meta"):
            return longest(AutoModelForSequenceClassification.from_config(config, trust_remote_code=trust_remote_code))
    except Exception as error:
        raise CrildError(f"{role}: {name} cannot be made ({first_line(error)}); see its config.json") from None


def load_tokenizer(
    name: str, role: str, trust_remote_code: bool = False, revision: str | None = None
) -> PreTrainedTokenizerBase:
    """Load a tokenizer.

    Raises:
        CrildError: there is none.
    """
    name, revision = located(name, revision)
    path = Path(name)
    files = (
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
        "spiece.model",
        "sentencepiece.bpe.model",
    )
    if path.is_dir() and not any((path / file).exists() for file in files):
        raise CrildError(f"{role}: {name} has no tokenizer; save one there with `tokenizer.save_pretrained(...)`")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            name, trust_remote_code=trust_remote_code, revision=of_commit(name, revision)
        )
    except Exception as error:
        raise CrildError(f"{role}: cannot load the tokenizer of {name} ({first_line(error)})") from None
    longest_text = tokenizer.model_max_length
    if isinstance(longest_text, bool) or not isinstance(longest_text, int | float) or not longest_text >= 1:
        raise CrildError(
            f"{role}: the tokenizer of {name} says model_max_length: {short(longest_text)}, which is no length"
        )
    if tokenizer.pad_token_id is None:
        raise CrildError(f"{role}: the tokenizer of {name} has no padding token")
    known = getattr(load_config(name, role, trust_remote_code, revision), "vocab_size", None)
    most = max(tokenizer.get_vocab().values(), default=0)
    if known is not None and most >= known:
        raise CrildError(
            f"{role}: the tokenizer of {name} is another model's: its tokens go up to {most}, and the model has {known}"
        )
    return tokenizer


def load_tokenizer_or_path(
    name: str, trust_remote_code: bool = False, revision: str | None = None
) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a student that is given as a path.

    Raises:
        CrildError: there is nothing of that name.
    """
    if not Path(name).exists() and "/" not in name:
        raise CrildError(
            f"--student {name}: neither layers (3, first:3, last:3, every:2, 0,2,4), static, nor a folder of that name"
        )
    load_config(name, "student", trust_remote_code, revision)
    return load_tokenizer(name, "student", trust_remote_code, revision)


def check_same_tokenizer(
    first: PreTrainedTokenizerBase,
    second: PreTrainedTokenizerBase,
    roles: tuple[str, str],
    texts: Sequence[str] = (),
) -> None:
    """Refuse two tokenizers that are not the same: the second model would read wrong ids.

    Raises:
        CrildError: their vocabularies differ, or they cut a text differently.
    """
    one, other = roles
    if first.get_vocab() != second.get_vocab():
        raise CrildError(
            f"the {one} and the {other} have different vocabularies ({len(first)} and {len(second)} tokens): "
            "distillation needs one tokenizer; choose models that share it"
        )
    for text in (*PROBES, *texts):
        if first(text)["input_ids"] != second(text)["input_ids"]:
            raise CrildError(
                f"the {one} and the {other} share a vocabulary but cut text differently (lower-casing, or other "
                "special tokens): distillation needs one tokenizer; choose models that share it"
            )
