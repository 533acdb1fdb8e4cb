"""What an export needs to be installed; nothing is loaded, so that what is missing is told at once."""

from importlib.metadata import version
from importlib.util import find_spec

from crild.config import ExportConfig
from crild.console import warn
from crild.errors import CrildError, to_install

NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",)}
EXTRAS = {"onnx": "serve", "openvino": "openvino"}
TESTED = "5.23"  # of transformers, whose exporters call themselves experimental


def refuse_missing(config: ExportConfig) -> None:
    """Raise `CrildError` where a package is missing, or a format does not do what is asked for."""
    if config.format == "openvino" and config.quantize == "int8":
        raise CrildError("--quantize int8 is for --format onnx; OpenVINO's file is in fp32")
    if missing := [name for name in NEEDS[config.format] if find_spec(name) is None]:
        raise CrildError(f"--format {config.format} needs {', '.join(missing)}: {to_install(EXTRAS[config.format])}")
    if config.trim_vocabulary and find_spec("skeletoken") is None:
        raise CrildError(f"--trim-vocabulary needs skeletoken: {to_install('serve')}")


def warn_of_version() -> None:
    """Say that transformers is another version than exports were tested with."""
    there = version("transformers")
    if not there.startswith(f"{TESTED}."):
        warn(
            f"export was tested with transformers {TESTED}, and this is {there}: its exporters are experimental and "
            "may differ, so look at the largest difference"
        )
