"""The exposures and conversions that a computation asks of a device, read off the program that JAX traces."""

import dataclasses
import math
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend import core
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Inexact

from optics._check import check_function
from optics._typing import DeviceLike, FunctionLike
from optics.device import AbstractDevice, External, Stage
from optics.effects import Effect


@dataclasses.dataclass(frozen=True)
class Counts:
    """Exposures and conversions of a computation.

    Attributes:
        exposures: one after the other on one device. Values that receivers take at the same time (both
            quadratures, the diodes of a pair) are one exposure; the steps of a reference and the exposures of
            an encoder are several.
        dac: numbers written to modulators. A quadrature is a number, and so is the phase of a modulator of
            phases or the state of a mirror. A pattern that meets many others (a filter and its inputs) is
            written once and held.
        adc: numbers read from detectors.
    """

    exposures: int
    dac: int
    adc: int

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.exposures + other.exposures, self.dac + other.dac, self.adc + other.adc)

    def __mul__(self, times: int) -> "Counts":
        return Counts(self.exposures * times, self.dac * times, self.adc * times)


def count(call: FunctionLike, device: DeviceLike) -> Counts:
    """Count the exposures and conversions of `call(device, key)`: a convolution, a network, a training step.

    The device gets marks where numbers enter a modulator and where frames leave a detector. The call is
    traced, and the marks in the program are added up. Batches, loops, shards and gradients that pass through
    the device are included, and so is what `jax.checkpoint` computes again. A result that is never used is
    counted, though compilation may leave it out. Nothing is run.

    Arguments:
        call: a function of the device and of the key of its noise, built of JAX operations.
        device: `FourierProcessor` and its like, with chains of effects.

    Returns:
        `Counts`.

    Raises:
        ValueError: a `device` that is none, a computation without it, an exposure without a key, or a number
            of exposures that depends on values (`jax.lax.while_loop`, `jax.lax.cond`).
    """
    check_function("call", call, "`lambda device, key: optics.convolve(x, w, device, key)`")
    program = jax.make_jaxpr(call)(_mark_stages(device), jax.random.key(0))
    counts = _count_marks(program.jaxpr)
    if not counts.exposures:
        raise ValueError("`call` must use the device that it is called with: no exposure was found in it.")
    return counts


class _Mark(Effect):
    """Leaves values as they are, and appears in the program.

    Attributes:
        is_modulator: it stands before a modulator; else behind a detector.
        phase_only: the modulator takes one number a pixel, also where the amplitude is complex.
        single_exposure: the detector takes all frames of a field in one exposure.
        metering: one exposure more of each field sets full scale.
        simultaneous: fields that are exposed at the same time.
    """

    is_modulator: bool = eqx.field(static=True)
    phase_only: bool = eqx.field(static=True)
    single_exposure: bool = eqx.field(static=True)
    metering: bool = eqx.field(static=True)
    simultaneous: int = eqx.field(static=True)

    def __call__(self, value: Inexact[Array, "*any"], key: Array | None) -> Inexact[Array, "*any"]:
        if key is None:
            if self.is_modulator:
                # A device also computes its expected drive, to set the exposure by; only the light of an
                # exposure counts.
                return value
            raise ValueError(
                "`call` must pass a key to every exposure, such as the one that it is called with."
            )
        if self.is_modulator:
            numbers = 2 if jnp.iscomplexobj(value) and not self.phase_only else 1
            return _mark_p.bind(value, dac_per_value=numbers, values_per_exposure=None, metered=0)
        values = (value.shape[-3] if self.single_exposure else 1) * value.shape[-2] * value.shape[-1]
        # The meter reads one frame of each field.
        metered = value.size // value.shape[-3] if self.metering else 0
        values *= self.simultaneous
        return _mark_p.bind(value, dac_per_value=0, values_per_exposure=values, metered=metered)


# An identity: it passes tangents on without a mark, so that only the light of exposures is counted.
_mark_p = core.Primitive("optics_mark")
_mark_p.def_impl(lambda a, **_: a)
_mark_p.def_abstract_eval(lambda a, **_: a)
ad.primitive_jvps[_mark_p] = lambda primals, tangents, **how: (_mark_p.bind(*primals, **how), tangents[0])
batching.primitive_batchers[_mark_p] = lambda args, dims, metered, **how: (
    # A meter reads a frame of each row of a batch.
    _mark_p.bind(*args, metered=metered * args[0].shape[dims[0]], **how),
    dims[0],
)
mlir.register_lowering(_mark_p, lambda ctx, a, **_: [a])


def _mark_stages(device: DeviceLike) -> AbstractDevice:
    """The device with marks at the outer ends of its chains."""
    if isinstance(device, External):
        raise ValueError(
            "`device` is hardware in the loop, whose exposures cannot be counted; count those of its `twin`."
        )
    if not isinstance(device, AbstractDevice):
        kind = repr(device) if isinstance(device, str | type) or device is None else type(device).__name__
        raise ValueError(
            "`device` must be a device with a modulator and a camera, such as `optics.presets.load(name)`; "
            f"got {kind}."
        )

    def add_mark(stage: Stage) -> tuple[Effect, ...]:
        mark = _Mark(*stage[2:])
        return (mark, *stage.effects) if stage.is_modulator else (*stage.effects, mark)

    return device.with_stages(**{stage.name: add_mark(stage) for stage in device.stages()})


def _count_marks(program: core.Jaxpr) -> Counts:
    total = Counts(0, 0, 0)
    for equation in program.eqns:
        if equation.primitive is _mark_p:
            total += _counts_of_mark(equation.invars[0].aval.size, **equation.params)
            continue
        inner = sum((_count_marks(part) for part in _inner_programs(equation.params)), Counts(0, 0, 0))
        name = equation.primitive.name
        if name in ("while", "cond") and inner != Counts(0, 0, 0):
            raise ValueError(
                "`call` must make the same exposures whatever the values are, but has a device inside of a "
                f"`jax.lax` {name}."
            )
        total += inner * _repetitions(name, equation.params)
    return total


def _counts_of_mark(size: int, dac_per_value: int, values_per_exposure: int | None, metered: int) -> Counts:
    if values_per_exposure is None:
        return Counts(0, size * dac_per_value, 0)
    values = size + metered
    return Counts(values // values_per_exposure, 0, values)


def _repetitions(name: str, parameters: dict[str, object]) -> int:
    """How often the program inside of an equation runs: the steps of a loop, or the devices of a mesh."""
    if name == "scan":
        return parameters["length"]
    if name == "shard_map":
        mesh = parameters["mesh"]
        return math.prod(mesh.shape[axis] for axis in parameters.get("manual_axes", mesh.axis_names))
    return 1


def _inner_programs(parameters: dict[str, object]) -> Iterator[core.Jaxpr]:
    """The programs inside of an equation: the bodies of loops, calls and custom derivatives."""
    for value in parameters.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if isinstance(part, core.ClosedJaxpr):
                yield part.jaxpr
            elif isinstance(part, core.Jaxpr):
                yield part
