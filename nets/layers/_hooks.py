"""Modules of flax that compute with other functions than their own, for one call."""

from collections.abc import Mapping
from typing import Any

from flax import nnx


def with_hooks(model: nnx.Module, hooks: Mapping[tuple, Mapping[str, Any]]) -> nnx.Module:
    """A copy of `model` with the same variables, whose modules at some paths have other attributes.

    It is made for each call: device and key, which may be traced, must not stay in a module that outlives the
    trace.

    Arguments:
        model: any module.
        hooks: attributes by name, such as `dot_general`, by the path of a module.
    """
    copy = nnx.unflatten(*nnx.flatten(model, graph=True))
    for path, module in nnx.iter_graph(copy, graph=True):
        for name, value in hooks.get(path, {}).items():
            setattr(module, name, value)
    return copy
