"""What a run may say: options checked once for Python, YAML and the command line; presets; YAML files. No torch."""

from crild.config.declare import as_dict, build, configure, convert, option_names
from crild.config.files import read_yaml
from crild.config.options import (
    CompareConfig,
    DataConfig,
    DemoConfig,
    DistillConfig,
    EvaluateConfig,
    FinetuneConfig,
    MethodsConfig,
    PredictConfig,
    TrainConfig,
    TuneConfig,
    with_defaults,
)
from crild.config.presets import ANY, PRESETS, StageSettings, stage_settings

__all__ = [
    "ANY",
    "PRESETS",
    "CompareConfig",
    "DataConfig",
    "DemoConfig",
    "DistillConfig",
    "EvaluateConfig",
    "FinetuneConfig",
    "MethodsConfig",
    "PredictConfig",
    "StageSettings",
    "TrainConfig",
    "TuneConfig",
    "as_dict",
    "build",
    "configure",
    "convert",
    "option_names",
    "read_yaml",
    "stage_settings",
    "with_defaults",
]
