"""What `--student` and `--vocabulary` say: layers of a model or a path; tokens. Nothing is loaded to tell."""

import json
import re
from pathlib import Path

from crild.errors import CrildError

STATIC, STATIC_TYPE = "static", "crild-static"  # as ``--student`` says it, and as a saved one's configuration
LAYERS = re.compile(rf"half|{STATIC}|((?P<how>first|last|every):)?(?P<number>\d+)|\d+(,\d+)+")
NO_LAYERS = (
    "a static student has neither layers to match nor inputs to interpolate: use --method kd, which learns from the "
    "teacher's logits alone"
)
ANY_DEPTH = 10**6  # for whoever asks what kind of a student it is, before a model is read


def chooses_layers(spec: str) -> bool:
    """Return whether ``--student`` says layers, there or not, and no path."""
    return LAYERS.fullmatch(spec) is not None


def parse_layers(spec: str, depth: int) -> list[int] | None:
    """Return the layers (counted from 0) that ``--student`` chooses from ``depth``, or ``None`` for a path.

    ``3`` and ``first:3`` the first three; ``last:3`` the last three; ``every:2`` 0, 2, 4, ...; ``0,2,4`` those;
    ``half`` the first half; ``static`` none at all (`crild.models.static`).

    Raises:
        CrildError: there are not so many layers.
    """
    match = LAYERS.fullmatch(spec)
    if match is None:
        return None
    if spec == STATIC:
        return []
    if spec == "half":
        return list(range(max(1, depth // 2)))
    if match["number"] is None:
        layers = [int(part) for part in spec.split(",")]
    else:
        how, number = match["how"] or "first", int(match["number"])
        if number == 0:
            raise CrildError(f"--student {spec}: a student needs at least one layer")
        if how != "every" and number > depth:
            raise CrildError(f"--student {spec}: the model has {depth} layers, a student cannot have {number}")
        first = depth - number if how == "last" else 0
        layers = list(range(0, depth, number)) if how == "every" else list(range(first, first + number))
    if layers != sorted(set(layers)):
        raise CrildError(f"--student {spec}: layers must rise and not repeat")
    if layers[-1] >= depth:
        raise CrildError(f"--student {spec}: the model has layers 0 to {depth - 1}, there is no layer {layers[-1]}")
    return layers


def parse_vocabulary(spec: str) -> int | None:
    """Return how many tokens ``--vocabulary`` asks for; ``None`` for ``auto``.

    Raises:
        CrildError: it is neither ``auto`` nor a number of tokens.
    """
    if spec == "auto":
        return None
    if not re.fullmatch(r"[1-9]\d*", spec):
        raise CrildError(f"--vocabulary {spec}: neither auto nor a number of tokens")
    return int(spec)


def is_static(spec: str) -> bool:
    """Return whether ``--student`` is static: by that word, or a folder that holds a static model."""
    if chooses_layers(spec):
        return spec == STATIC
    try:
        config = json.loads((Path(spec).expanduser() / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == STATIC_TYPE


def refuse_static(spec: str) -> None:
    """Raise `CrildError` where a student is static, and so has nothing that a method could match."""
    if is_static(spec):
        raise CrildError(NO_LAYERS)


def student_path(spec: str) -> str | None:
    """Return a student that is given as a path or hub name; ``None`` where ``spec`` chooses layers."""
    return spec if parse_layers(spec, ANY_DEPTH) is None else None
