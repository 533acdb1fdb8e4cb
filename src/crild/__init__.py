"""crild: distil fine-tuned Transformer encoders into small ones that do not overfit.

    import crild

    result = crild.distill(teacher="./my-bert", data="tweets.csv", student=3, method="cr-ild", output="runs/tweets")

The public API: `distill`, `finetune`, `check`, `suspicious`, `evaluate`, `predict`, `export`, `compare`, `frontier`,
`tune`, `diagnose`, `report`, `status`, their configurations, `RunFolder` (opens a finished run), `cascade` (a run's
student with its teacher behind it), `DistillationTrainer` with `DistillationArguments` (a stage of a method as a
`transformers.Trainer`), `objective` (to add one of your own), `quiet`, and `CrildError`. The package
`crild.diagnostics` has the functions that `diagnose` applies to a run.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from crild.errors import CrildError

if TYPE_CHECKING:
    from crild.checking import check, suspicious
    from crild.config import (
        CheckConfig,
        DiagnoseConfig,
        DistillConfig,
        EvaluateConfig,
        ExportConfig,
        FinetuneConfig,
        FrontierConfig,
        PredictConfig,
        StatusConfig,
        SuspiciousConfig,
        TuneConfig,
    )
    from crild.console import quiet
    from crild.diagnostics.diagnose import diagnose
    from crild.grid.run import compare
    from crild.objectives import objective
    from crild.pareto.find import frontier
    from crild.run.cascade import cascade
    from crild.run.folder import RunFolder
    from crild.run.report import report
    from crild.run.start import distill, finetune
    from crild.scoring import evaluate, predict
    from crild.search import tune
    from crild.serving.export import export
    from crild.trainer import DistillationTrainer
    from crild.training.arguments import DistillationArguments
    from crild.watching import status

__version__ = version("crild")
__all__ = [
    "CheckConfig",
    "CrildError",
    "DiagnoseConfig",
    "DistillConfig",
    "DistillationArguments",
    "DistillationTrainer",
    "EvaluateConfig",
    "ExportConfig",
    "FinetuneConfig",
    "FrontierConfig",
    "PredictConfig",
    "RunFolder",
    "StatusConfig",
    "SuspiciousConfig",
    "TuneConfig",
    "cascade",
    "check",
    "compare",
    "diagnose",
    "distill",
    "evaluate",
    "export",
    "finetune",
    "frontier",
    "objective",
    "predict",
    "quiet",
    "report",
    "status",
    "suspicious",
    "tune",
]

_HOME = {
    "CheckConfig": "crild.config",
    "DiagnoseConfig": "crild.config",
    "DistillConfig": "crild.config",
    "DistillationArguments": "crild.training.arguments",
    "DistillationTrainer": "crild.trainer",
    "EvaluateConfig": "crild.config",
    "ExportConfig": "crild.config",
    "FinetuneConfig": "crild.config",
    "FrontierConfig": "crild.config",
    "PredictConfig": "crild.config",
    "RunFolder": "crild.run.folder",
    "StatusConfig": "crild.config",
    "SuspiciousConfig": "crild.config",
    "TuneConfig": "crild.config",
    "cascade": "crild.run.cascade",
    "check": "crild.checking",
    "compare": "crild.grid.run",
    "diagnose": "crild.diagnostics.diagnose",
    "distill": "crild.run.start",
    "evaluate": "crild.scoring",
    "export": "crild.serving.export",
    "finetune": "crild.run.start",
    "frontier": "crild.pareto.find",
    "objective": "crild.objectives",
    "predict": "crild.scoring",
    "quiet": "crild.console",
    "report": "crild.run.report",
    "status": "crild.watching",
    "suspicious": "crild.checking",
    "tune": "crild.search",
}


def __getattr__(name: str) -> Any:
    # Loaded when first used: `crild --help` should not wait for torch.
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    if name == "diagnostics":
        from importlib import import_module

        return import_module("crild.diagnostics")
    raise AttributeError(f"module 'crild' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
