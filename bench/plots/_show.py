"""One call for every kind of part."""

import functools
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import optics
from bench.plots import _curves as curves
from bench.plots import _layout as drawing
from bench.plots import _signal as signal
from bench.plots._effect import effect
from bench.plots._transfer_matrix import transfer_matrix
from optics.effects import Effect
from optics.encode import Encoder


@functools.singledispatch
def show(part: Any, **options: Any) -> Figure:
    """Draw a part of any kind.

        FourierLens                                  its layout, to scale
        Dense, Separable                             amplitude, phase and deviation from the exact transform
        FourierProcessor, Correlator, JointTransform, External
                                                     a picture on its way through, in one shot
        an effect                                    what it does to values and to a pattern
        an encoder                                   what the modulator shows, exposure by exposure
        a measurement                                its frames, and the field found in them
        the name of a preset                         layout and a picture on its way through
        a run folder                                 its training curves

    Arguments:
        part: any of these.
        options: of the function that draws it, such as `title`; see `bench.plots`.

    Returns:
        the figure.

    Raises:
        ValueError: another kind of part.
    """
    if hasattr(part, "frames") and hasattr(part, "field") and not isinstance(part, type):
        return signal.measurement(part, **options)
    raise ValueError(
        f"`part` must be a lens, transfer, device, effect, encoder, measurement, name of a preset or run folder, got {part!r}."
    )


@show.register
def _(part: optics.FourierLens, **options: Any) -> Figure:
    return drawing.layout(part, **options)


@show.register
def _(part: optics.Dense | optics.Separable, **options: Any) -> Figure:
    return transfer_matrix(part, **options)


@show.register
def _(
    part: optics.FourierProcessor | optics.Correlator | optics.JointTransform | optics.External,
    **options: Any,
) -> Figure:
    return signal.device(part, **options)


@show.register
def _(part: Effect, **options: Any) -> Figure:
    return effect(part, **options)


@show.register
def _(part: Encoder, **options: Any) -> Figure:
    return signal.encoder(part, **options)


@show.register
def _(part: Path, **options: Any) -> Figure:
    return curves.training_curves(part, **options)


@show.register
def _(part: str, **options: Any) -> Figure:
    if part in optics.presets.names():
        return preset(part, **options)
    if Path(part).is_dir():
        return curves.training_curves(part, **options)
    raise ValueError(
        f"`part` must be a preset, one of {', '.join(optics.presets.names())}, or a run folder, got {part!r}."
    )


def preset(name: str, key: Any = None, title: str = "") -> Figure:
    """A preset: its layout where it has a lens, and a picture on its way through.

    Arguments:
        name: one of `optics.presets.names()`.
        key: of the shot; None takes a fixed one.
        title: of the figure.

    Raises:
        ValueError: unknown name.
    """
    device = optics.presets.load(name)
    whole = optics.presets.load(name, level="wave")
    if not drawing.lenses(whole):
        return signal.device(device, key, title or name)
    figure = Figure(figsize=(13, 9.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(4, 6))
    drawing.draw_layout(above, whole)
    signal.draw_device(below, device, key, title or f"{name}: one shot")
    return figure
