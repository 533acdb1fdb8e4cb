"""Which methods are told apart: paired over seeds, all pairs of a task and condition at once; average ranks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from scipy import stats

ALPHA = 0.05  # of a whole family: all pairs of one task and condition
FEWEST = 5  # paired seeds
DRAWS = 20_000  # of the null: the family's error is then known to 0.15 points
AT_A_TIME = 4_000_000  # numbers, while the null is drawn
TOO_FEW = "too few seeds to tell"
NO_SPREAD = "no test: the same difference in every seed"

TEST = (
    "Test: for each pair of methods a paired t over training seeds, with the pair's own standard deviation of "
    "differences; two-sided. Its p is adjusted for looking at every pair: it is the share of simulated families of as "
    "many equal methods and seeds (independent normal scores, 20,000 draws; Student's t itself where there are two "
    "methods) whose largest |t| is at least the pair's. So picking the best method first, or the best-looking pair, is "
    "already paid for. Told apart means p <= 0.05. Why not simpler: paired t tests of ten equal methods against the "
    "one that happens to be best call some pair different in about half of all grids; the smallest p that a sign-flip "
    "test can give is 0.25 on three seeds and 0.0625 on five, so it tells nothing apart. Below five paired seeds "
    "nothing is claimed. Each task and condition is a family of its own: of twenty of them with equal methods, expect "
    "one to name a pair. The seeds are those of training: on other data the order may differ."
)


@dataclass(frozen=True)
class Pair:
    """Two methods over the seeds that both have.

    Attributes:
        first, second: methods.
        difference: mean over seeds of first minus second, in the unit of the scores.
        deviation: standard deviation of the differences (n - 1).
        t: difference / (deviation / sqrt(n)); ``None`` where there is no spread.
        p: of ``t``, adjusted for all pairs; ``None`` where nothing was tested.
    """

    first: str
    second: str
    difference: float
    deviation: float
    t: float | None
    p: float | None

    @property
    def told_apart(self) -> bool:
        """Whether the difference is more than luck, all pairs considered."""
        return self.p is not None and self.p <= ALPHA


@dataclass(frozen=True)
class Comparison:
    """All pairs of the methods that have all the seeds.

    Attributes:
        methods: those compared, in the order given.
        seeds: those of every compared method.
        pairs: all of them; tested where there are at least `FEWEST` seeds.
        lacking: seeds that a method has not, by method left out for it.
        critical: the ``|t|`` from which on a pair is told apart; ``None`` where nothing was tested.
    """

    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    pairs: tuple[Pair, ...]
    lacking: Mapping[str, tuple[int, ...]]
    critical: float | None

    def find(self, first: str, second: str) -> Pair | None:
        """Return a pair, with the difference of ``first`` minus ``second``; ``None`` if it was not compared."""
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.first, pair.second) == (second, first):
                t = None if pair.t is None else -pair.t
                return Pair(first, second, -pair.difference, pair.deviation, t, pair.p)
        return None


@dataclass(frozen=True)
class Ranks:
    """Average ranks.

    Attributes:
        average: mean rank over the counted blocks by method; 1 is best.
        counted: blocks in which every ranked method has a score.
        skipped: the other blocks.
        unranked: methods without a score anywhere.
    """

    average: Mapping[str, float]
    counted: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
    unranked: tuple[str, ...]


def paired_t(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return difference, deviation and t of every pair of methods.

    Args:
        values: scores, (..., methods, seeds), two seeds at least.

    Returns:
        Three arrays (..., pairs), in the order of `itertools.combinations`; t is NaN where all differences are equal,
        up to rounding.
    """
    seeds = values.shape[-1]
    first, second = np.triu_indices(values.shape[-2], 1)
    differences = values[..., first, :] - values[..., second, :]
    difference, deviation = differences.mean(-1), differences.std(-1, ddof=1)
    rounding = 1e-9 * max(1.0, float(np.abs(values).max()))  # 0.8 - 0.7 and 0.9 - 0.8 differ by 1e-16
    flat = deviation <= rounding
    t = np.where(flat, np.nan, difference / (np.where(flat, 1.0, deviation) / np.sqrt(seeds)))
    return difference, np.where(flat, 0.0, deviation), t


@lru_cache(maxsize=64)
def null_maxima(methods: int, seeds: int) -> np.ndarray:
    """Return the largest ``|t|`` over all pairs of equal methods, `DRAWS` times, sorted.

    Scores are independent standard normals. An effect of the seed that all methods share cancels in the differences, so
    it need not be drawn; methods of unequal spread make the largest ``|t|`` no larger (see the tests).
    """
    rng = np.random.default_rng([methods, seeds])
    pairs = methods * (methods - 1) // 2
    left, parts = DRAWS, []
    while left:
        draws = min(left, max(1, AT_A_TIME // (pairs * seeds)))
        parts.append(np.abs(paired_t(rng.standard_normal((draws, methods, seeds)))[2]).max(-1))
        left -= draws
    maxima = np.sort(np.concatenate(parts))
    maxima.flags.writeable = False  # it is shared by all callers
    return maxima


def adjusted_p(t: np.ndarray, methods: int, seeds: int) -> np.ndarray:
    """Return the chance that the largest ``|t|`` over all pairs of equal methods is at least ``|t|``.

    The observed family counts as one more draw, so that a p is never 0 and, as a test, exact (Davison and Hinkley 1997,
    section 4.2).
    """
    size = np.abs(t)
    if methods == 2:
        return 2 * stats.t.sf(size, seeds - 1)
    maxima = null_maxima(methods, seeds)
    beyond = len(maxima) - np.searchsorted(maxima, size, side="left")
    return np.where(np.isnan(size), np.nan, (beyond + 1) / (len(maxima) + 1))


def critical_t(methods: int, seeds: int) -> float:
    """Return the ``|t|`` from which on `adjusted_p` is at most `ALPHA`."""
    if methods == 2:
        return float(stats.t.isf(ALPHA / 2, seeds - 1))
    maxima = null_maxima(methods, seeds)
    beyond = int(ALPHA * (len(maxima) + 1)) - 1  # so many draws may be as large
    return float(maxima[len(maxima) - beyond])


def compare_all(scores: Mapping[str, Mapping[int, float]]) -> Comparison:
    """Compare every pair of methods over the seeds that any of them has.

    A method that lacks one of these seeds is left out: comparing the others on fewer seeds would let its failures
    choose them. So are methods without scores.

    Args:
        scores: score by seed, by method; a failed run is not there.
    """
    seeds = tuple(sorted({seed for by_seed in scores.values() for seed in by_seed}))
    lacking = {m: tuple(s for s in seeds if s not in by_seed) for m, by_seed in scores.items()}
    methods = tuple(m for m in scores if seeds and not lacking[m])
    lacking = {m: missing for m, missing in lacking.items() if m not in methods}
    if len(methods) < 2:
        return Comparison(methods, seeds, (), lacking, None)
    values = np.array([[scores[m][s] for s in seeds] for m in methods])
    tested = len(seeds) >= FEWEST
    if len(seeds) == 1:
        first, second = np.triu_indices(len(methods), 1)
        difference = values[first, 0] - values[second, 0]
        deviation = t = np.full(len(first), np.nan)
    else:
        difference, deviation, t = paired_t(values)
    p = adjusted_p(t, len(methods), len(seeds)) if tested else np.full(len(t), np.nan)
    pairs = tuple(
        Pair(*names, float(difference[i]), float(deviation[i]), number(t[i]), number(p[i]))
        for i, names in enumerate(combinations(methods, 2))
    )
    return Comparison(methods, seeds, pairs, lacking, critical_t(len(methods), len(seeds)) if tested else None)


def number(value: float) -> float | None:
    """Return a plain number; NaN is none."""
    return None if np.isnan(value) else float(value)


def rank(means: Mapping[str, float]) -> dict[str, float]:
    """Return ranks by method: 1 is the highest mean; equal ones (up to rounding) share theirs."""
    values = np.round(np.array(list(means.values())), 12)
    return {m: float(r) for m, r in zip(means, stats.rankdata(-values), strict=True)}


def together(names: Sequence[str], apart: Callable[[str, str], bool]) -> list[tuple[int, int]]:
    """Return first and last place of every longest run of names, in this order, of which no two are told apart."""
    found: list[tuple[int, int]] = []
    for first in range(len(names)):
        last = first
        while last + 1 < len(names) and not any(apart(each, names[last + 1]) for each in names[first : last + 1]):
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def critical_difference(methods: int, blocks: int) -> float:
    """Return by how much average ranks must differ to be told apart: Nemenyi's test at `ALPHA`.

    Source: Demsar 2006, section 3.2.2.
    """
    quantile = stats.studentized_range.isf(ALPHA, methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(methods * (methods + 1) / (6 * blocks)))


def average_ranks(means: Mapping[tuple[str, str], Mapping[str, float]], methods: Sequence[str]) -> Ranks:
    """Return the mean over blocks of each method's rank.

    Methods without a score anywhere are not ranked; of the rest, a block counts only if it has a score of every one,
    for a rank among fewer methods is another thing.

    Args:
        means: mean score by method, by (task, condition).
        methods: those to rank. The student without a teacher belongs to them: to be no better is worth knowing. The
            teacher does not: it is another size of model.
    """
    ranked = [m for m in methods if any(m in block for block in means.values())]
    counted = tuple(key for key, block in means.items() if ranked and all(m in block for m in ranked))
    ranks = [rank({m: means[key][m] for m in ranked}) for key in counted]
    return Ranks(
        average={m: float(np.mean([r[m] for r in ranks])) for m in ranked} if ranks else {},
        counted=counted,
        skipped=tuple(key for key in means if key not in counted),
        unranked=tuple(m for m in methods if m not in ranked),
    )
