"""From the name of what is matched to one objective: parts, their weights, and the layer map that they share."""

import re
import runpy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from crild.errors import CrildError, nearest
from crild.features import Features, LayerFeatures, full_precision
from crild.layers import MAPS, LayerMap, Pairs, map_family
from crild.objectives.alp_kd import AttentiveStates
from crild.objectives.attention import AttentionKL, AttentionMSE
from crild.objectives.base import STAGE_TERMS, Between, Objective, PairObjective, Shape, Side, Term, require
from crild.objectives.ckd import ContextualRelations
from crild.objectives.head_input import HeadInput
from crild.objectives.hidden import Embeddings, Hidden
from crild.objectives.logits import Logits
from crild.objectives.mgskd import GranularStructure
from crild.objectives.pkd import PatientStates
from crild.objectives.rail_kd import PooledStates
from crild.objectives.relations import HeadRelations, Relations, ValueRelation
from crild.objectives.ted import TaskAwareFilters
from crild.objectives.transport import Transport

OBJECTIVES: dict[str, type[Objective]] = {
    "hidden": Hidden,
    "embeddings": Embeddings,
    "head-input": HeadInput,
    "attention-kl": AttentionKL,
    "attention-mse": AttentionMSE,
    "relations": Relations,
    "head-relations": HeadRelations,
    "value-relation": ValueRelation,
    "pkd": PatientStates,
    "ckd": ContextualRelations,
    "rail-kd": PooledStates,
    "alp-kd": AttentiveStates,
    "mgskd": GranularStructure,
    "ted": TaskAwareFilters,
    "logits": Logits,
}
SHORT = {
    "a": "attention-kl",
    "h": "hidden",
    "ah": "attention-kl+hidden",
    "qkv": "relations",
    "ahqkv": "attention-kl+hidden+relations",
}
"""The names of `method.md` section 6."""


class Composition(Objective):
    """Several objectives over one layer map: their terms side by side, each with its weight.

    Args:
        parts: the objectives.
        weights: of each.
        layer_map: which layers are compared; a random draw is state, and in checkpoints.
        consistent: which of the parts the consistency term acts on; by default all.
    """

    def __init__(
        self,
        parts: Iterable[Objective],
        weights: Sequence[float],
        layer_map: LayerMap,
        consistent: Sequence[bool] | None = None,
    ) -> None:
        parts = list(parts)
        super().__init__(parts[0].between)
        self.parts = nn.ModuleList(parts)
        self.layer_map = layer_map
        self.consistent = list(consistent) if consistent is not None else [True] * len(parts)
        self.needs = tuple(dict.fromkeys(name for part in parts for name in part.needs))
        self.extra = tuple(sorted({layer for part in parts for layer in part.extra}))
        self.terms = tuple(term for part in parts for term in part.terms)
        twice = next((term for term in self.terms if self.terms.count(term) > 1), None)
        require(twice is None, f"two objectives have a term {twice!r}: rename your own one")
        self.weights = {
            term: weight * part.weights.get(term, 1.0)
            for part, weight in zip(parts, weights, strict=True)
            for term in part.terms
        }
        self.mixable = all(part.mixable for part in parts)
        self.takes_heads = any(part.takes_heads for part in parts)
        self.needs_words = any(part.needs_words for part in parts)
        self.needs_filters = any(part.needs_filters for part in parts)
        self.layerless = all(part.layerless for part in parts)
        self.least_rows = max(part.least_rows for part in parts)

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self.parts)

    @property
    def pairs(self) -> Pairs:
        """(student layer, teacher layer) pairs, as drawn now."""
        return () if self.layerless else self.layer_map.pairs

    def layers(self, side: Literal["student", "teacher"]) -> list[int]:
        """Return the layers to capture of one of the two models."""
        place = ("student", "teacher").index(side)
        numbers = range(getattr(self.between, side).layers + 1)
        return sorted({pair[place] for pair in self.pairs} | {numbers[layer] for layer in self.extra})

    def forward(self, student: Features, target: Features, pairs: Pairs | None = None) -> dict[str, Term]:
        """Return the terms of all parts."""
        pairs = self.pairs if pairs is None else pairs
        return {k: v for part in self for k, v in part(student, target, pairs).items()}

    def consistency(self, student: Features, target: Features, layers: Iterable[int] | None = None) -> dict[str, Term]:
        """Return the terms of all parts between the student's features and its own on another input."""
        chosen = sorted({s for s, _ in self.pairs}) if layers is None else list(layers)
        return {k: v for part in self._acting() for k, v in part.consistency(student, target, chosen).items()}

    def consistency_counts(self, mask: Tensor) -> dict[str, Tensor]:
        """Return the counts of the parts that the consistency term acts on."""
        return {k: v for part in self._acting() for k, v in part.counts(mask).items()}

    def _acting(self) -> list[Any]:
        return [part for part, acts in zip(self, self.consistent, strict=True) if acts]

    def counts(self, mask: Tensor) -> dict[str, Tensor]:
        """Return the counts of all parts."""
        return {k: v for part in self for k, v in part.counts(mask).items()}

    def filter_terms(
        self, student: Features, teacher: Features, labels: Tensor, loss: Callable[[Tensor, Tensor], Term]
    ) -> dict[str, Term]:
        """Return the terms of the stage that trains filters on labels, by the task's ``loss``."""
        return {
            k: v
            for part in self
            if isinstance(part, TaskAwareFilters)
            for k, v in part.filter_terms(student, teacher, labels, loss).items()
        }


def parse_features(features: str) -> list[tuple[str, float]]:
    """Return (objective, weight) of ``hidden``, ``ah``, ``relations+0.5*hidden``, ...

    Raises:
        CrildError: an objective is unknown, or named twice.
    """
    text = re.sub(r"\s+", "", features)
    parts = []
    for part in SHORT.get(text, text).split("+"):
        number, star, name = part.rpartition("*")
        name = SHORT.get(name, name)
        try:
            weight = float(number) if star else 1.0
        except ValueError:
            weight = -1.0
        if weight <= 0 or not weight < float("inf"):
            raise CrildError(f"features {features!r}: {number!r} is no positive weight; write for instance 0.5*hidden")
        for each in name.split("+"):  # a short name may stand for several
            if each not in OBJECTIVES:
                known = [*OBJECTIVES, *SHORT]
                raise CrildError(
                    f"features {features!r}: no objective {each!r}{nearest(each, known)}; join some of "
                    f"{', '.join(known)} with +"
                )
            parts.append((each, weight))
    names = [name for name, _ in parts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise CrildError(f"features {features!r}: {twice[0]} is named twice; give it a weight, such as 2*{twice[0]}")
    return parts


def compose(
    features: str,
    layer_map: str,
    student: Shape,
    teacher: Shape,
    relation_heads: int | None = None,
    consistency_features: str | None = None,
    width_map: bool = False,
) -> Composition:
    """Return the objective that ``features`` names, over a layer map, between two models.

    Args:
        features: see `parse_features`.
        layer_map: see `LayerMap`.
        student, teacher: the models' shapes.
        relation_heads: of objectives that have any; ``None`` for their default.
        consistency_features: which of ``features`` the consistency term acts on; ``None`` for all.
        width_map: learn maps of student states to the teacher's width also where widths are equal.

    Raises:
        CrildError: a name is unknown, or objective, map and shapes make no sense together; the line says what would.
    """
    chosen = parse_features(features)
    mapping = LayerMap(layer_map, teacher.layers, student.layers)
    between = Between(student, teacher, mapping, relation_heads, width_map)
    parts: list[Objective] = []
    shared = [m for m in OBJECTIVES[chosen[0][0]].maps if all(m in OBJECTIVES[name].maps for name, _ in chosen)]
    fitting = [name for name in MAPS if map_family(name) in shared]
    fitting += ["pairs such as 1-2,3-6"] if "fixed" in shared else []
    for name, _ in chosen:
        cls = OBJECTIVES[name]
        if map_family(layer_map) not in cls.maps:
            hint = f"use --layer-map {' or '.join(fitting)}" if fitting else f"no layer map suits all of {features}"
            raise CrildError(f"{name} makes no sense with layer map {layer_map!r}: {hint}")
        part = cls(between)
        parts.append(Transport(part) if layer_map == "emd" and isinstance(part, PairObjective) else part)
    acting = None
    if consistency_features is not None:
        wanted = {name for name, _ in parse_features(consistency_features)}
        missing = sorted(wanted - {name for name, _ in chosen})
        require(not missing, f"consistency_features {consistency_features!r}: {' '.join(missing[:1])} is not matched")
        acting = [name in wanted for name, _ in chosen]
    return Composition(parts, [weight for _, weight in chosen], mapping, acting)


def default_map(features: str, method_map: str) -> str:
    """Return the layer map where the user names features and no map: theirs where they have one, else the method's."""
    own = [OBJECTIVES[name] for name, _ in parse_features(features)]
    wanted = [cls.default_map for cls in own if cls.default_map != "last"]
    return next(
        (m for m in (*wanted, method_map) if all(map_family(m) in cls.maps for cls in own)), (*wanted, "last")[0]
    )


def captured(objective: Composition, side: Literal["student", "teacher"]) -> list[str]:
    """Return the tensors captured of one of the two models, such as ``hidden of layer 3``."""
    names = [
        f"{tensor} of layer {layer}" if layer else "embeddings"
        for layer in objective.layers(side)
        for tensor in objective.needs
        if tensor != "logits" and (layer or tensor == "hidden")
    ]
    return names + ["logits"] * ("logits" in objective.needs)


Compare = Callable[[LayerFeatures, LayerFeatures, Tensor], Tensor]


def objective(
    name: str, needs: Sequence[str] = ("hidden",), per: Literal["token", "example"] = "token"
) -> Callable[[Compare], Compare]:
    """Make a function an objective that ``--features NAME`` finds.

    The function compares one student layer with one teacher layer: ``(student, teacher, mask) -> values``. crild
    takes the mean over real tokens (or examples) and layer pairs, and everything else (layer maps, interpolation,
    consistency, resume) works as with its own objectives.

    Args:
        name: what ``--features`` says.
        needs: of ``hidden``, ``query``, ``key``, ``value``: the attributes of `LayerFeatures` that are filled in.
        per: whether values are one number a token, (B, L), or one an example, (B,).

    Raises:
        CrildError: the name is taken, or ``needs`` names something else.

    Example:
        >>> @crild.objective("cosine")
        ... def cosine(student, teacher, mask):
        ...     return 1 - torch.cosine_similarity(student.hidden, teacher.hidden, dim=-1)
        >>> crild.distill(..., method="cr-ild", features="cosine")
    """
    if not re.fullmatch(r"[a-zA-Z][\w.-]*", name):
        raise CrildError(f"objective {name!r}: a name begins with a letter and holds letters, digits, - _ . only")
    ours = {n: cls for n, cls in OBJECTIVES.items() if not issubclass(cls, FunctionObjective)}
    if name in {*ours, *SHORT, *STAGE_TERMS, *(term for cls in ours.values() for term in cls.terms)}:
        raise CrildError(f"objective {name!r}: the name is taken; choose another one")
    if per not in ("token", "example"):
        raise CrildError(f"objective {name!r}: per is {per!r}; it is 'token' or 'example'")
    needs = (needs,) if isinstance(needs, str) else tuple(needs)
    if unknown := [need for need in needs if need not in ("hidden", "query", "key", "value")]:
        raise CrildError(f"objective {name!r} needs {unknown[0]!r}: a layer has hidden, query, key and value")

    def register(function: Compare) -> Compare:
        OBJECTIVES[name] = type(
            name,
            (FunctionObjective,),
            {
                "function": staticmethod(function),
                "needs": needs,
                "terms": (name,),
                "per": per,
                "__doc__": function.__doc__ or f"{name}: given by the user.",
            },
        )
        return function

    return register


class FunctionObjective(PairObjective):
    """An objective made of a user's function; see `objective`."""

    function: Compare

    def view(self, features: LayerFeatures, mask: Tensor, layer: int, side: Side) -> LayerFeatures:
        """Return the layer's tensors in full precision."""
        return LayerFeatures(
            **{name: full_precision(getattr(features, name)) for name in self.needs}, window=features.window
        )

    def compare(self, student: LayerFeatures, target: LayerFeatures, mask: Tensor) -> dict[str, Tensor]:
        """Return the function's values, as (B, L) or (B,)."""
        name = self.terms[0]
        values = self.function(student, target, mask)
        shape = tuple(mask.shape) if self.per == "token" else (len(mask),)
        found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        if found != shape:
            raise CrildError(f"objective {name!r} returned {found}, not one number a {self.per}, {shape}")
        return {name: values}


def load_plugin(path: str) -> None:
    """Run a user's Python file, which registers objectives with `objective`.

    Raises:
        CrildError: there is no such file, or it fails.
    """
    if not Path(path).is_file():
        raise CrildError(f"--plugin {path}: no such file")
    try:
        runpy.run_path(path)
    except CrildError:
        raise
    except (Exception, SystemExit) as error:
        raise CrildError(f"--plugin {path}: {type(error).__name__}: {error}") from None
