"""What a run may say: options checked once for Python, YAML and the command line; presets; YAML files. No torch."""

from crild.config.declare import as_dict, build, configure, convert, option_names
from crild.config.files import read_yaml
from crild.config.options import (
    MODEL_OPTIONS,
    ROW_OPTIONS,
    CheckConfig,
    CompareConfig,
    DataConfig,
    DemoConfig,
    DiagnoseConfig,
    DistillConfig,
    EvaluateConfig,
    FinetuneConfig,
    MethodsConfig,
    PredictConfig,
    StageOption,
    TrainConfig,
    TuneConfig,
    is_object,
    with_defaults,
)
from crild.config.presets import ANY, PRESETS, StageSettings, stage_settings
from crild.config.signature import takes

__all__ = [
    "ANY",
    "MODEL_OPTIONS",
    "PRESETS",
    "ROW_OPTIONS",
    "CheckConfig",
    "CompareConfig",
    "DataConfig",
    "DemoConfig",
    "DiagnoseConfig",
    "DistillConfig",
    "EvaluateConfig",
    "FinetuneConfig",
    "MethodsConfig",
    "PredictConfig",
    "StageOption",
    "StageSettings",
    "TrainConfig",
    "TuneConfig",
    "as_dict",
    "build",
    "configure",
    "convert",
    "is_object",
    "option_names",
    "read_yaml",
    "stage_settings",
    "takes",
    "with_defaults",
]
