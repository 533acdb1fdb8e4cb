"""All methods. A method is data: what it matches, between which layers, on which inputs, in which stages."""

from dataclasses import dataclass, replace

from crild.errors import CrildError, nearest
from crild.methods.recipe import Recipe


@dataclass(frozen=True)
class PhaseSpec:
    """One stage of a schedule.

    Attributes:
        name: of the stage: its folder, its random streams.
        title: what a user reads.
        preset_key: whose epochs, rates and batch size it takes: ``ild``, ``kd`` or ``finetune``.
        recipe: what it minimises.
    """

    name: str
    title: str
    preset_key: str
    recipe: Recipe


def kd(distillation: float = 1.0, task: float = 0.0, temperature: float = 2.0) -> PhaseSpec:
    """Return stage 2: the teacher's logits, and labels with weight ``task``."""
    return PhaseSpec("kd", "KD", "kd", Recipe(distillation=distillation, task=task, temperature=temperature))


def joint(features: float, distillation: float, task: float = 0.0, temperature: float = 1.0) -> PhaseSpec:
    """Return a stage of all terms together."""
    recipe = Recipe(intermediate_weight=features, distillation=distillation, task=task, temperature=temperature)
    return PhaseSpec("joint", "joint", "kd", recipe)


ILD = PhaseSpec("ild", "ILD", "ild", Recipe(intermediate_weight=1.0))
FINETUNE = PhaseSpec("student", "student", "finetune", Recipe(task=1.0))
FILTERS = PhaseSpec("filters", "filters", "finetune", Recipe(filters=1.0))
TWO_STAGE = (ILD, kd())
RELEASED = tuple(replace(phase, recipe=replace(phase.recipe, adam_epsilon=1e-6)) for phase in TWO_STAGE)


@dataclass(frozen=True)
class Method:
    """A named recipe.

    Attributes:
        name: what `--method` says.
        summary: one line.
        source: the paper.
        formula: of its own term.
        matches: what is matched, see `crild.objectives.parse_features`; ``None`` for a method without such a term.
        layer_map: see `crild.layers`.
        interpolate: its own term runs on interpolated inputs.
        consistency: final weight of the consistency term.
        two_stage: the schedule that all tables use (`method.md` 3).
        paper: as its authors trained it; ``None`` where that is the same.
        augment: rewrites of the training texts that it learns from as well, see `crild.data.augment`.
        released: batches, partners and masks as in the CR-ILD authors' script (`method.md` 8).
        equals: methods that it is the same as for a student of one layer.
        departures: where it differs from its paper, and why.
    """

    name: str
    summary: str
    source: str
    formula: str
    matches: str | None = None
    layer_map: str = "last"
    interpolate: bool = False
    consistency: float = 0.0
    two_stage: tuple[PhaseSpec, ...] = TWO_STAGE
    paper: tuple[PhaseSpec, ...] | None = None
    augment: str | None = None
    released: bool = False
    equals: tuple[str, ...] = ()
    departures: str = ""

    def phases(self, schedule: str, needs_filters: bool = False) -> tuple[PhaseSpec, ...]:
        """Return the stages of a schedule; an objective with filters has them trained first."""
        phases = self.paper if schedule == "paper" and self.paper is not None else self.two_stage
        return (FILTERS, *phases) if needs_filters else phases

    @property
    def uses_teacher(self) -> bool:
        """Whether it learns anything from a teacher."""
        return any(phase.recipe.distillation or phase.recipe.intermediate_weight for phase in self.two_stage)


KO = "Ko et al. 2023, Findings of EACL, arXiv 2302.01530"
TUNED = "their joint weights were tuned per task; here they are fixed"
SCORES = (
    "attention scores weigh 0.01 in both schedules (theirs 1, on means that include padding): with weight 1 their "
    "gradient is over a hundred times that of the hidden states (benchmarks/results/gradient_norms.md)"
)

WIDTH_MAP = "no width map where widths are equal (their code always learns one: --width-map learned)"

CR_ILD = Method(
    name="cr-ild",
    summary="last layer on interpolated inputs, with a consistency term; then the teacher's logits",
    source=KO,
    formula="L_mix + 0.1 p L_cr: attention rows + hidden states of the last layer on interpolated inputs; "
    "p is the share of the stage done",
    matches="ah",
    interpolate=True,
    consistency=0.1,
    departures="consistency acts on whatever features are matched (in the authors' script it never runs); "
    "masks are exact; partners are neighbours in a shuffled batch; targets come from a pass without dropout",
)

KD = Method(
    name="kd",
    summary="the teacher's logits alone",
    source="Hinton et al. 2015, arXiv 1503.02531",
    formula="KD = T^2 KL(softmax(z_t / T) || softmax(z_s / T)), T = 2 (regression: squared difference)",
    two_stage=(kd(),),
    paper=(kd(0.9, 0.1),),
    departures="paper schedule: labels with weight 0.1, which the paper only calls considerably lower",
)
REWRITES = (
    "masking and replacement: Tang et al. 2019, arXiv 1903.12136; deletion: Wei and Zou 2019 (EDA), arXiv 1901.11196"
)

METHODS = {
    method.name: method
    for method in (
        CR_ILD,
        replace(
            CR_ILD,
            name="cr-ild-rewrites",
            summary="cr-ild on the training texts and on rewrites of them, which the teacher alone labels",
            source=f"crild; its objective: {KO}; {REWRITES}",
            formula="that of cr-ild, then KD, both on each text and three rewrites of it, others in every epoch",
            augment="all",
        ),
        Method(
            name="cr-ild-as-released",
            summary="what the CR-ILD authors' script does: relations on interpolated inputs, padding not masked",
            source=KO + ", authors' script",
            formula="R_QQ, R_KK, R_VV of the last layer on the models' own heads, on inputs interpolated with the "
            "reversed batch; no consistency",
            matches="head-relations",
            interpolate=True,
            two_stage=RELEASED,
            released=True,
            departures="AdamW with their epsilon, 1e-6, but with bias correction and one clip over all tensors "
            "(theirs: none, and one more a tensor); the encoder sees the union of both partners' masks; random batches "
            "padded to the maximum length, and an incomplete last batch is dropped, as there; their code always learns "
            "a width map, of hidden states, which are not matched here (with --features ah: --width-map learned)",
        ),
        Method(
            name="l-ild",
            summary="last layer on plain inputs; then the teacher's logits",
            source=KO,
            formula="attention rows + hidden states of the last layer",
            matches="ah",
        ),
        Method(
            name="u-ild",
            summary="a uniform map of layers on plain inputs; then the teacher's logits",
            source=KO,
            formula="attention rows + hidden states, mean over the mapped layers",
            matches="ah",
            layer_map="uniform",
            equals=("l-ild",),
        ),
        KD,
        replace(
            KD,
            name="kd-rewrites",
            summary="kd on the training texts and on rewrites of them, which the teacher alone labels",
            source=f"crild; its objective: Hinton et al. 2015, arXiv 1503.02531; {REWRITES}",
            formula="that of kd, on each text and three rewrites of it, others in every epoch",
            augment="all",
        ),
        Method(
            name="mixkd",
            summary="the teacher's logits on interpolated inputs",
            source="Liang et al. 2021 (MixKD), ICLR, arXiv 2011.00593",
            formula="squared difference of the logits on interpolated inputs; mixed labels: the task's loss there "
            "against interpolated labels",
            matches="logits",
            interpolate=True,
            paper=(PhaseSpec("joint", "joint", "kd", Recipe(intermediate_weight=1.0, mixed_task=1.0, task=1.0)),),
            departures="interpolated at the output of the embedding module, lambda from Beta(1, 1), one partner a row, "
            "as in cr-ild; the two-stage schedule leaves the labels out",
        ),
        Method(
            name="pkd",
            summary="normalised [CLS] states of intermediate layers",
            source="Sun et al. 2019 (PKD), EMNLP, arXiv 1908.09355",
            formula="100 x squared difference of L2-normalised [CLS] states, mean over width and mapped layers",
            matches="100*pkd",
            layer_map="skip",
            paper=(joint(1.0, 0.7, 0.3, 10.0),),
            departures=f"{TUNED} inside the authors' grid; the weight 100 holds in both schedules, because with "
            "weight 1 most gradients are below Adam's epsilon (benchmarks/results/gradient_norms.md); the other map is "
            "--layer-map last-k",
        ),
        Method(
            name="tinybert",
            summary="embeddings, hidden states and attention scores of a uniform map of layers",
            source="Jiao et al. 2020 (TinyBERT), Findings of EMNLP, arXiv 1909.10351",
            formula="embeddings + hidden states + 0.01 x attention scores before the softmax, squared differences",
            matches="embeddings+hidden+0.01*attention-mse",
            layer_map="uniform",
            paper=(ILD, kd(temperature=1.0)),
            departures="task-specific distillation only, without general distillation and data augmentation; "
            f"{SCORES}; for regression the paper schedule's last stage learns the teacher's numbers, theirs the "
            f"labels; {WIDTH_MAP}; the CR-ILD authors' row: --features embeddings+hidden+attention-kl",
        ),
        Method(
            name="minilm",
            summary="attention rows and value relations of the last layer",
            source="Wang et al. 2020 (MiniLM), NeurIPS, arXiv 2002.10957",
            formula="D_rows of R_QK + D_rows of R_VV, last layer, head by head",
            matches="attention-kl+value-relation",
            paper=(ILD, FINETUNE),
            departures="distilled from the fine-tuned teacher on the task's texts, not on general text",
        ),
        Method(
            name="minilmv2",
            summary="Q/K/V relations of the last layer, or of a chosen teacher layer",
            source="Wang et al. 2021 (MiniLMv2), Findings of ACL, arXiv 2012.15828",
            formula="D_rows of R_QQ, R_KK and R_VV on relation heads",
            matches="relations",
            paper=(ILD, FINETUNE),
            departures="distilled from the fine-tuned teacher on the task's texts, not on general text; another "
            "teacher layer: --layer-map 3-5 (student-teacher)",
        ),
        Method(
            name="bert-emd",
            summary="every layer from every layer, weighted by an optimal transport plan with learned masses",
            source="Li et al. 2020 (BERT-EMD), EMNLP, arXiv 2010.06133",
            formula="sum_ij F_ij d_ij, F the optimal plan, for hidden states and (x 0.01) attention scores separately; "
            "masses follow 1 / cost",
            matches="hidden+0.01*attention-mse",
            layer_map="emd",
            paper=(joint(0.01, 1.0),),
            departures=f"masses of hidden states and attention are not averaged (method.md 5); {SCORES}; "
            f"{WIDTH_MAP}; the paper schedule's weight is 0.01 on every task (theirs 0.001 to 0.01); the embedding "
            "term is left to --features embeddings+hidden+0.01*attention-mse",
        ),
        Method(
            name="ckd",
            summary="distances and angles among the words of a text and among the layers of a word",
            source="Park et al. 2021 (CKD), EMNLP, arXiv 2109.08359",
            formula="squared differences of relative distances and of angles' cosines",
            matches="ckd",
            layer_map="uniform",
            paper=(joint(1.0, 1 / 9, 0.0, 3.0),),
            departures=f"{TUNED}: all four relations weigh 1 (theirs 0.1 to 1000: on CoLA and RTE word angles 10, the "
            "others 1) and T is 3 (theirs 1 to 4); as in their script no labels, and no T^2 (hence 1 / 9); relative "
            "distances, not that script's cosines; distances between layers relative to their mean over the text, or "
            "two layers would say nothing",
        ),
        Method(
            name="rail-kd",
            summary="pooled states of random intermediate layers, redrawn each epoch",
            source="Haidar et al. 2022 (RAIL-KD), Findings of NAACL, arXiv 2109.10164",
            formula="squared distance of mean-pooled states, mapped to width 128 and L2-normalised",
            matches="rail-kd",
            layer_map="random",
            paper=(joint(1 / 3, 1 / 3, 1 / 3, 10.0),),
            departures="the layer-wise variant; pooling leaves padding out",
        ),
        Method(
            name="alp-kd",
            summary="[CLS] states from an attention-weighted mixture of all teacher layers",
            source="Passban et al. 2021 (ALP-KD), AAAI, arXiv 2012.14022",
            formula="MSE(c_i, sum_j a_ij t_j), a_ij = softmax_j(c_i . t_j)",
            matches="alp-kd",
            layer_map="all",
            paper=(joint(0.2, 0.7, 0.1, 20.0),),
            departures="the authors' code was not found: weights and temperature of the paper schedule are a public "
            "re-implementation's (GLMKD), the KD term has its T^2 as everywhere here",
        ),
        Method(
            name="mgskd",
            summary="structure of tokens and words in lower layers, of samples in upper layers",
            source="Liu et al. 2022 (MGSKD), ACL",
            formula="dots and angles of tokens and of words (lower two mapped layers), 4 x angles of samples (upper)",
            matches="mgskd",
            layer_map="uniform",
            paper=(ILD, kd(temperature=1.0)),
            departures="mapped layers start at 1, without embeddings; means over layers, where theirs are sums; spans "
            "are whole words, not phrases; at least one upper layer, also for students of 1 or 2 layers",
        ),
        Method(
            name="ted",
            summary="hidden states through filters that were trained on the labels",
            source="Liang et al. 2023 (TED), ICML, arXiv 2210.01351",
            formula="squared difference of filtered hidden states, mean over mapped layers, after a stage that trains "
            "the filters on labels",
            matches="ted",
            layer_map="uniform",
            paper=(joint(50.0, 20.0, 1.0, 2.0),),
            departures=f"{TUNED} to those of RTE; filters are trained on the student as it starts, not fine-tuned",
        ),
        Method(
            name="ft",
            summary="no teacher: the same student fine-tuned on the labels",
            source="the control",
            formula="cross-entropy (regression: squared error) on labelled rows",
            two_stage=(FINETUNE,),
        ),
    )
}


def find_method(name: str) -> Method:
    """Return a method by name.

    Raises:
        CrildError: there is none; the nearest is suggested.
    """
    if name not in METHODS:
        raise CrildError(f"unknown method {name!r}{nearest(name, METHODS)}: use one of {', '.join(METHODS)}")
    return METHODS[name]
