"""What can be seen of models and finished runs: noise, surfaces, curvature, layers, flips and gaps.

Functions of models and rows, which `crild.diagnose` applies to finished runs:

- `batches` makes rows of texts; `measured` (loss and score) and `Losses` look at a model on them
- `noise_robustness`, and `filter_normalised` with `loss_surface`: what changes when the weights are moved
- `largest_eigenvalue` of a loss's Hessian, under `eager_attention`
- `cka` of two models' layers, `linear_cka` of two arrays
- `layer_vectors`, and of them `layer_probes` and `explained_share`
- `memorised_flips` of wrong labels, `logged_gaps` of a stage's log

Models are restored bit for bit; every draw is a function of a seed.
"""

from crild.diagnostics.explained import explained_share
from crild.diagnostics.flips import memorised_flips
from crild.diagnostics.gap import logged_gaps
from crild.diagnostics.hessian import largest_eigenvalue
from crild.diagnostics.noise import noise_robustness
from crild.diagnostics.passes import Losses, layer_vectors, measured
from crild.diagnostics.probes import layer_probes
from crild.diagnostics.rows import batches
from crild.diagnostics.similarity import cka, linear_cka
from crild.diagnostics.surface import filter_normalised, loss_surface
from crild.models.architecture import eager_attention

__all__ = [
    "Losses",
    "batches",
    "cka",
    "eager_attention",
    "explained_share",
    "filter_normalised",
    "largest_eigenvalue",
    "layer_probes",
    "layer_vectors",
    "linear_cka",
    "logged_gaps",
    "loss_surface",
    "measured",
    "memorised_flips",
    "noise_robustness",
]
