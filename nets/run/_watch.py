"""The outputs of the layers of a network, as they return."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flax import nnx


@contextmanager
def watch_outputs(model: nnx.Module, observe: Callable[[str, Any], None]) -> Iterator[None]:
    """Call `observe` with the path and the output of each layer of a network, in the order in which they
    return.

    Arguments:
        model: the network; it may be called in a program that is being traced.
        observe: (path, such as "blocks.0.norm1", output).
    """
    paths = {id(module): ".".join(map(str, path)) or "model" for path, module in nnx.iter_modules(model)}
    kinds = {type(module) for _, module in nnx.iter_modules(model) if "__call__" in vars(type(module))}
    before = {kind: kind.__call__ for kind in kinds}

    def watch(call: Callable) -> Callable:
        def watched_call(self, *args, **kwargs):
            output = call(self, *args, **kwargs)
            if id(self) in paths:
                observe(paths[id(self)], output)
            return output

        return watched_call

    try:
        for kind, call in before.items():
            kind.__call__ = watch(call)
        yield
    finally:
        for kind, call in before.items():
            kind.__call__ = call
