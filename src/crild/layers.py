"""Layer maps: which student layer learns from which teacher layer (`method.md` 5). Layers count from 1."""

import math

from crild.errors import CrildError, nearest

Pairs = tuple[tuple[int, int], ...]

MAPS = {
    "last": lambda n, m: ((m, n),),
    "uniform": lambda n, m: tuple((i, math.ceil(i * n / m)) for i in range(1, m + 1)),
    "first": lambda n, m: tuple((i, i) for i in range(1, m + 1)),
}


def layer_map(name: str, teacher_layers: int, student_layers: int) -> Pairs:
    """Return (student layer, teacher layer) pairs.

    Args:
        name: ``last`` (M -> N only), ``uniform`` (i -> ceil(i N / M)), ``first`` (i -> i), or explicit pairs such
            as ``1-2,3-6``.
        teacher_layers: N.
        student_layers: M.

    Raises:
        CrildError: the name is unknown, or a pair names a layer that does not exist.
    """
    if name in MAPS:
        pairs: Pairs = MAPS[name](teacher_layers, student_layers)
    else:
        try:
            pairs = tuple((int(s), int(t)) for s, t in (pair.split("-") for pair in name.split(",")))
        except ValueError:
            raise CrildError(
                f"unknown layer map {name!r}{nearest(name, MAPS)}: use one of {', '.join(MAPS)}, or pairs like 1-2,3-6"
            ) from None
    for s, t in pairs:
        if not (1 <= s <= student_layers and 1 <= t <= teacher_layers):
            raise CrildError(
                f"layer map {name!r} pairs student layer {s} with teacher layer {t}, but the student has layers "
                f"1-{student_layers} and the teacher 1-{teacher_layers}"
            )
    return pairs
