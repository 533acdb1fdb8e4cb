"""The named recipes. A method is data: objective, layer map, interpolation, consistency and stages."""

from crild.methods.registry import FEATURES, METHODS, Method, build_objective, find_method

__all__ = ["FEATURES", "METHODS", "Method", "build_objective", "find_method"]
