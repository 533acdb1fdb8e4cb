"""The named recipes. A method is data: objective, layer map, interpolation, consistency and stages."""

from crild.methods.registry import METHODS, Method, Phase, find_method

__all__ = ["METHODS", "Method", "Phase", "find_method"]
