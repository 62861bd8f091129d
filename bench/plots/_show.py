"""One call for every kind of part."""

import functools
import reprlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

import optics
from bench.plots._curves import training_curves
from bench.plots._device import device, draw_device
from bench.plots._effect import effect
from bench.plots._encoder import encoder
from bench.plots._field import field
from bench.plots._frames import frames
from bench.plots._layout import draw_layout, layout, lenses_of
from bench.plots._measurement import measurement
from bench.plots._product import draw_product, product
from bench.plots._recorded import draw_recorded
from bench.plots._transfer_matrix import transfer_matrix
from optics.effects import Effect
from optics.encode import Encoder
from optics.retrieve import Retrieved


@functools.singledispatch
def show(part: Any, **options: Any) -> Figure:
    """Draw a part of any kind.

        FourierLens                                  its layout, to scale
        Dense, MaskedFFT, Separable, Propagation     amplitude, phase and deviation from the exact transform
        FourierProcessor, Correlator, JointTransform, External
                                                     an image on its way through, in one draw of the noise
        a device that multiplies matrices            two matrices, their product and its error
        CrossedLenses                                their layout along the rows, to scale
        an effect, or a tuple of effects             the change of values and of a pattern
        an encoder                                   the drive of the modulator, exposure by exposure
        a measurement                                its frames, and the field computed from them
        the name of a preset                         layout and an image on its way through
        a retrieved object                           amplitude and phase of the object
        a plane of numbers                           a field if they are complex, else frames
        a run folder, or a COMMAND.json              its training curves, or its figure

    Arguments:
        part: any of these.
        options: of the function that draws it, such as `title`; see `bench.plots`.

    Returns:
        the figure.

    Raises:
        ValueError: another kind of part.

    Example:
        >>> import optics
        >>> from bench import plots
        >>> figure = plots.show(optics.effects.Quantize(4))
        >>> len(figure.axes) >= 4
        True
    """
    # Arrays of jax are of a class that singledispatch does not know.
    if isinstance(part, np.ndarray | jax.Array):
        return (field if np.iscomplexobj(part) else frames)(part, **options)
    raise ValueError(
        "`part` must be a lens, transfer, device, effect, encoder, measurement, plane of numbers, name of a "
        f"preset or run folder, got {reprlib.repr(part)}."
    )


show.register(optics.FourierLens | optics.CrossedLenses, layout)
show.register(optics.Dense | optics.MaskedFFT | optics.Separable | optics.Propagation, transfer_matrix)
show.register(optics.AbstractDevice, device)
show.register(
    optics.VectorMatrixMultiplier | optics.MatrixMatrixMultiplier | optics.CirculantMultiplier, product
)
show.register(optics.AbstractMeasurement, measurement)
show.register(Effect, effect)
show.register(Encoder, encoder)


@show.register
def _(part: optics.Averaged, **options: Any) -> Figure:
    # One exposure of many.
    return show(part.engine, **options)


@show.register
def _(part: tuple, **options: Any) -> Figure:
    if part and all(isinstance(item, Effect) for item in part):
        return effect(part, **options)
    names = ", ".join(type(item).__name__ for item in part[:5])
    raise ValueError(
        f"`part` must be a tuple of effects of `optics.effects`, got one of {names or 'nothing'}."
    )


@show.register
def _(part: Retrieved, title: str = "", **options: Any) -> Figure:
    plane = np.asarray(part.object)
    residual = np.asarray(part.residual)
    if plane.ndim > 2:
        best = np.unravel_index(np.argmin(residual), residual.shape)
        plane, residual = plane[best], residual[best]
    return field(plane, title=title or f"retrieved object, residual {residual:.1e}", **options)


@show.register
def _(part: Path, **options: Any) -> Figure:
    return (draw_recorded if part.suffix == ".json" else training_curves)(part, **options)


@show.register
def _(part: str, **options: Any) -> Figure:
    if part in optics.presets.names():
        return preset(part, **options)
    if Path(part).exists():
        return show(Path(part), **options)
    raise ValueError(
        f"`part` must be a preset, one of {', '.join(optics.presets.names())}, or a run folder, got {part!r}."
    )


def preset(name: str, key: Any = None, title: str = "") -> Figure:
    """Draw a preset: its layout where it has a lens, and an image on its way through.

    Arguments:
        name: one of `optics.presets.names()`.
        key: of the noise; None takes a fixed one.
        title: of the figure.

    Returns:
        the figure.

    Raises:
        ValueError: unknown name.
    """
    compiled = optics.presets.load(name)
    described = optics.presets.load(name, level="wave")
    if not lenses_of(described):
        return show(compiled, key=key, title=title or name)
    figure = Figure(figsize=(13, 9.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(4, 6))
    draw_layout(above, described)
    multiplies = compiled.supports(optics.AbstractDevice.matmul)
    draw = draw_product if multiplies else draw_device
    draw(below, compiled, key, title or f"{name}: one draw of the noise")
    return figure
