"""What a computation asks of a device, read off the program that JAX traces: nothing is run."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend import core
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Inexact

from optics.device import External, phase_only
from optics.device._exposure import DETECTORS, MODULATORS
from optics.effects import Effect
from optics.encode import ComplexAmplitude


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a computation asks of a device.

    Attributes:
        frames: exposures, one after the other on one device. What receivers see at once (both quadratures, the diodes of a
            pair) is one exposure; the steps of a reference and the exposures of an encoder are several.
        dac: numbers written to modulators. A quadrature is a number, and so is the phase of a modulator of phases or the
            state of a mirror. A pattern that meets many others (a filter and its inputs) is written once and held.
        adc: numbers read from detectors.
    """

    frames: int
    dac: int
    adc: int

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.frames + other.frames, self.dac + other.dac, self.adc + other.adc)

    def __mul__(self, times: int) -> "Counts":
        return Counts(self.frames * times, self.dac * times, self.adc * times)


def count(call: Callable[[Any, Any], Any], device: Any) -> Counts:
    """Count the exposures and conversions of `call(device, key)`, whatever it computes: a convolution, a network, a training step.

    The device gets marks where numbers enter a modulator and where frames leave a detector. The call is traced, and the
    marks in the program are added up: batches, loops, shards and gradients that pass through the device included, and what
    `jax.checkpoint` computes again as well. A result that nobody uses is counted, though compilation may leave it out.

    Arguments:
        call: a function of the device and of the key of its noise, built of JAX operations.
        device: `FourierProcessor` and its like, with chains of effects.

    Returns:
        `Counts`.

    Raises:
        ValueError: what is no device, a computation without it, an exposure without a key, or a number of exposures that
            depends on values (`jax.lax.while_loop`, `jax.lax.cond`).
    """
    marked = _marked(device)
    program = jax.make_jaxpr(call)(marked, jax.random.key(0))
    found = _sum(program.jaxpr)
    if not found.frames:
        raise ValueError("`call` must use the device that it is called with: no exposure was found in it.")
    return found


class _Mark(Effect):
    """Leaves values as they are and is seen in the program.

    Attributes:
        written: on a modulator; else on a detector.
        phases: one number a pixel, also where the amplitude is complex.
        together: the frames of a field are taken at once.
    """

    written: bool = eqx.field(static=True)
    phases: bool = eqx.field(static=True, default=False)
    together: bool = eqx.field(static=True, default=False)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        if key is None:
            if self.written:
                # A device asks what its modulator is known to show, too; only what it shows is light.
                return value
            raise ValueError(
                "`call` must pass a key to every exposure, such as the one that it is called with."
            )
        numbers = 2 if jnp.iscomplexobj(value) and not self.phases else 1
        share = value.shape[-2] * value.shape[-1] * (value.shape[-3] if self.together else 1)
        return _mark_p.bind(value, written=self.written, numbers=numbers, share=share)


# An identity: it passes tangents on without a mark, so that only what light does is counted.
_mark_p = core.Primitive("optics_mark")
_mark_p.def_impl(lambda a, **_: a)
_mark_p.def_abstract_eval(lambda a, **_: a)
ad.primitive_jvps[_mark_p] = lambda primals, tangents, **how: (_mark_p.bind(*primals, **how), tangents[0])
batching.primitive_batchers[_mark_p] = lambda args, dims, **how: (_mark_p.bind(*args, **how), dims[0])
mlir.register_lowering(_mark_p, lambda ctx, a, **_: [a])


def _marked(device: Any) -> Any:
    """The device with marks at the outer ends of its chains."""
    chains = [name for name in MODULATORS + DETECTORS if getattr(device, name, None) is not None]
    if isinstance(device, External):
        raise ValueError(
            "`device` is hardware in the loop, whose exposures nobody sees; count those of its `twin`."
        )
    if isinstance(device, type) or not any(name in DETECTORS for name in chains):
        told = repr(device) if isinstance(device, str | type) or device is None else type(device).__name__
        raise ValueError(
            f"`device` must be a device with a modulator and a camera, such as `optics.presets.load(name)`; got {told}."
        )
    joint = "detector" in chains
    for name in chains:
        chain = getattr(device, name)
        if name in MODULATORS:
            encoder = getattr(device, "encoder", ComplexAmplitude())
            phases = encoder.phases if name == "slm" else getattr(device, "encode_filter", None) is phase_only
            chain = (_Mark(True, phases), *chain)
        else:
            # The camera of a joint transform correlator sees one power spectrum.
            chain = (
                *chain,
                _Mark(
                    False,
                    together=getattr(device.measurement, "simultaneous", False)
                    and not (joint and name == "camera"),
                ),
            )
        device = eqx.tree_at(
            lambda d, name=name: getattr(d, name), device, chain, is_leaf=lambda leaf: leaf is None
        )
    return device


def _sum(program: Any) -> Counts:
    total = Counts(0, 0, 0)
    for equation in program.eqns:
        if equation.primitive is _mark_p:
            size, how = equation.invars[0].aval.size, equation.params
            total += (
                Counts(0, size * how["numbers"], 0)
                if how["written"]
                else Counts(size // how["share"], 0, size)
            )
            continue
        inner = sum((_sum(part) for part in _programs(equation.params)), Counts(0, 0, 0))
        name = equation.primitive.name
        if name in ("while", "cond") and inner != Counts(0, 0, 0):
            raise ValueError(
                f"`call` must make the same exposures whatever the values are, but has a device inside of a `jax.lax` {name}."
            )
        total += inner * _times(name, equation.params)
    return total


def _times(name: str, parameters: dict[str, Any]) -> int:
    """How often the program inside of an equation is run: the turns of a loop, or the devices of a mesh."""
    if name == "scan":
        return parameters["length"]
    if name == "shard_map":
        mesh = parameters["mesh"]
        return math.prod(mesh.shape[axis] for axis in parameters.get("manual_axes", mesh.axis_names))
    return 1


def _programs(parameters: dict[str, Any]) -> Iterator[Any]:
    """The programs inside of an equation: the bodies of loops, calls and custom derivatives."""
    for value in parameters.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, core.ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, core.Jaxpr):
                yield part
