"""The parts that property tests run over: a new effect, encoder, measurement, device or mixer is one line
here.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

import nets
import optics
from optics import effects, encode


class Part(NamedTuple):
    """A part, and what the property tests may expect of it.

    Attributes:
        name: in the names of the tests.
        make: makes it; called in each test, in the precision that the test has set. A layer that mixes tokens
            is made with the source of its first weights.
        limit: makes it where it does nothing (of effects).
        random: it draws noise (of effects).
        leaks: it sends light of its own where all is dark (of modulations).
        tolerance: relative error that a convolution may have, noise and all (of devices), or that the middle
            of the order may have (of encoders), or the factor, if above 10, by which the gradients of the
            first and the last of twelve blocks may differ (of mixers).
    """

    name: str
    make: Callable[..., Any]
    limit: Callable[[], Any] | None = None
    random: bool = False
    leaks: bool = False
    tolerance: float = 1e-5


E = effects


def _of_modes(effect):
    """An effect that is alike in two modes."""
    return E.PerMode(effect, jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), effect))


_EFFECTS = [
    Part("shot", lambda: E.Shot(1e3), lambda: E.Shot(1e18), random=True),
    Part("exact shot", lambda: E.Shot(1e3, exact=True), lambda: E.Shot(1e18, exact=True), random=True),
    Part("balanced shot", lambda: E.BalancedShot(1e3), lambda: E.BalancedShot(1e18), random=True),
    Part("read", lambda: E.Read(0.01), lambda: E.Read(0.0), random=True),
    Part("dark", lambda: E.Dark(0.01), lambda: E.Dark(0.0)),
    Part("gain", lambda: E.Gain(1.05), lambda: E.Gain(1.0)),
    Part("saturate", lambda: E.Saturate(0.8), lambda: E.Saturate(1e6)),
    Part("quantize", lambda: E.Quantize(6), lambda: E.Quantize(16)),
    Part("signed quantize", lambda: E.Quantize(6, signed=True), lambda: E.Quantize(16, signed=True)),
    Part("noise of rounding", lambda: E.QuantizationNoise(5.5), lambda: E.QuantizationNoise(16), random=True),
    Part(
        "signed noise of rounding",
        lambda: E.QuantizationNoise(5.5, signed=True),
        lambda: E.QuantizationNoise(16, signed=True),
        random=True,
    ),
    Part("speckle", lambda: E.Speckle(0.2), lambda: E.Speckle(0.0), random=True),
    Part("of each mode", lambda: _of_modes(E.Gain(1.05)), lambda: _of_modes(E.Gain(1.0))),
    Part("bias", lambda: E.Bias(0.02), lambda: E.Bias(0.0)),
    Part("stuck pixels", lambda: E.StuckPixels([[0.1]], 0.5), lambda: E.StuckPixels([[0.0]], 0.5)),
    Part("phase levels", lambda: E.PhaseQuantize(4), lambda: E.PhaseQuantize(16)),
    Part("mixed levels", lambda: E.PhaseQuantize(3, pixels=4), lambda: E.PhaseQuantize(16, pixels=4)),
    Part("phase table", lambda: E.PhaseLUT([0.0, 2.8, 6.0]), lambda: E.PhaseLUT([0.0, 2 * math.pi])),
    Part("phase residue", lambda: E.PhaseLUT(a2=0.02, a3=0.01, stretch=0.02), lambda: E.PhaseLUT()),
    Part(
        "crosstalk",
        lambda: E.Crosstalk(E.SuperGaussian(), response=E.PhaseLUT(stretch=0.02)),
        lambda: E.Crosstalk(E.SuperGaussian(1e5), response=E.PhaseLUT()),
    ),
    Part("extinction", lambda: E.Extinction(1000.0), lambda: E.Extinction(1e18), leaks=True),
    Part("dead space", lambda: E.DeadSpace(0.87, 0.5, 1.0), lambda: E.DeadSpace(1.0, 0.5, 1.0), leaks=True),
    Part(
        "light across the director",
        lambda: E.ParallelAligned(0.2, 0.1),
        lambda: E.ParallelAligned(0.0, 0.0),
        leaks=True,
    ),
    Part(
        "twisted cell",
        lambda: E.TwistedNematic([0.5, 2.5, 5.0], math.pi / 2, 0.6, 2.2),
        lambda: E.TwistedNematic([0.0, 2 * math.pi], 0.0, 0.0, 0.0, lookup="linear"),
    ),
    Part("flicker", lambda: E.Flicker(0.195), lambda: E.Flicker(0.0), random=True),
    Part("flicker in step", lambda: E.Flicker(0.195, common=True), lambda: E.Flicker(0.0, common=True)),
    Part(
        "flicker out of step",
        lambda: E.Flicker(0.195, common=True, cycles=0.5, proportional=True),
        lambda: E.Flicker(0.0, common=True, cycles=0.5, proportional=True),
        random=True,
    ),
    Part(
        "drift",
        lambda: E.Drift([[[0.0]], [[0.3]]], 60.0, 20.0, -1e-3),
        lambda: E.Drift([[[0.0]], [[0.0]]], 60.0, 20.0),
    ),
    Part("laser", lambda: E.LaserNoise(0.05), lambda: E.LaserNoise(0.0), random=True),
    Part(
        "wandering laser",
        lambda: E.LaserNoise(0.05, pointing=0.01),
        lambda: E.LaserNoise(0.0, pointing=0.0),
        random=True,
    ),
]

_MEASUREMENTS = [
    Part("coherent", optics.Coherent),
    Part("balanced", optics.Balanced),
    Part("off-axis", optics.OffAxis),
    Part("offset", optics.Offset),
    Part("2 steps", lambda: optics.PhaseShifting(2)),
    Part("3 steps", lambda: optics.PhaseShifting(3)),
    Part("4 steps", lambda: optics.PhaseShifting(4)),
    Part("5 steps, weak reference", lambda: optics.PhaseShifting(5, reference=0.3)),
    Part("defocus", lambda: optics.PhaseDiversity(6, iterations=60)),
]

_ENCODERS = [
    Part("complex", encode.ComplexAmplitude),
    Part("3 parts", lambda: encode.Amplitude(3)),
    Part("4 parts", lambda: encode.Amplitude(4)),
    Part("pairs", lambda: encode.DoublePhase("pair")),
    Part("checkerboard", encode.DoublePhase),
    Part("exchanged pairs", lambda: encode.DoublePhase("pair", exposures=2)),
    Part("blazed", lambda: encode.Blazed(4)),
    Part("moved blazed", lambda: encode.Blazed(3, exposures=3)),
    Part("bit planes", lambda: encode.BitPlanes(12, parts=3)),
    Part("phases in turn", lambda: encode.SequentialPhase(3)),
    Part("guard pixels", lambda: encode.GuardPixels(encode.Blazed(4), 3)),
    Part("predistorted", lambda: encode.Predistorted(encode.DoublePhase(), (E.Gain(1.0),))),
]

_lens = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)


@functools.cache
def _loaded(_double, name, **overrides):
    # Numbers, also where the first to ask is being traced.
    with jax.ensure_compile_time_eval():
        return optics.presets.load(name, **overrides)


def load(name, **overrides):
    """A preset, built once for each precision."""
    return _loaded(jnp.result_type(float), name, **overrides)


def _with_camera():
    slm = (E.Quantize(8, signed=True),)
    camera = (E.Gain(0.99), E.Dark(1e-3), E.Shot(3e4), E.Saturate(), E.Read(1e-3), E.Quantize(12))
    return optics.FourierProcessor(optics.dft(6), optics.PhaseShifting(4), slm, camera)


def _lit(measurement=None, compiled=True):
    """An engine in the light of a line of three wavelengths."""
    with jax.ensure_compile_time_eval():
        modes = optics.illuminate(_lens, optics.light.line(1.55e-6, 2e-9, modes=3))
        engine = optics.FourierProcessor(optics.compile_transfer(modes), measurement)
        calibrated = optics.calibrate(engine)
        return calibrated if compiled else eqx.tree_at(lambda device: device.transfer, calibrated, modes)


def _masks(shape):
    """A lens whose error turns light by 0.2 s s′ rad, s across the panel and s′ across the detector: to first
    order two Fourier transforms between masks.
    """
    y, x = ((jnp.arange(n) - n // 2) / n for n in shape)
    across = y[:, None] + x
    return optics.MaskedFFT(
        jnp.stack([jnp.ones(shape), across]), jnp.stack([jnp.ones(shape) + 0j, 0.2j * across])
    )


def _panel():
    camera = (E.BalancedShot(1e5), E.Read(1e-3), E.Saturate(), E.Quantize(12, signed=True))
    return optics.FourierProcessor(_masks((4, 6)), camera=camera)


def _multiplexed():
    """Three planes in one exposure, of which neighbours leak."""
    with jax.ensure_compile_time_eval():
        comb = optics.light.channels([1.5492e-6, 1.55e-6, 1.5508e-6])
        transfer = optics.compile_transfer(optics.illuminate(_lens, comb))
        gains = optics.calibrate(optics.FourierProcessor(optics.compile_transfer(_lens)))
        both = (jnp.broadcast_to(gain, (3, 5, 5)) for gain in (gains.input_gain, gains.output_gain))
        return optics.WavelengthChannels(optics.FourierProcessor(transfer), 1e-3, *both)


_DEVICES = [
    Part("ideal", lambda: load("ideal")),
    Part("ideal 3×4", lambda: load("ideal", pixels=(3, 4))),
    Part("ideal 1×6", lambda: load("ideal", pixels=(1, 6))),
    Part("engine11", lambda: load("engine11"), tolerance=0.1),
    Part("engine11, exact transform", lambda: load("engine11", level="ideal"), tolerance=0.1),
    Part("wave 5×5", lambda: optics.FourierProcessor(_lens), tolerance=0.2),
    Part("camera 6×6", _with_camera, tolerance=0.2),
    Part("correlator 3×4", lambda: optics.Correlator(optics.dft((3, 4)))),
    Part("line of a diode 5×5", _lit, tolerance=0.2),
    Part("line of a diode, wave", lambda: _lit(compiled=False), tolerance=0.2),
    Part("line of a diode, camera", lambda: _lit(optics.PhaseShifting(4)), tolerance=0.2),
    Part("three wavelengths 5×5", _multiplexed, tolerance=0.2),
    Part("incoherent 3×4", lambda: optics.IncoherentCorrelator(optics.dft((3, 4)))),
    Part("joint transform 1×5", lambda: optics.JointTransform(optics.dft((1, 27)), (1, 5))),
    Part("panel 4×6", _panel, tolerance=0.2),
]


def _crossed(shape, **options):
    lenses = optics.CrossedLenses(shape, 8e-6, 532e-9, fill=0.9, detector_fill=0.5, **options)
    with jax.ensure_compile_time_eval():
        return optics.compile_crossed(lenses)


_exact_line = optics.transfer.ExactProduct((1, 5, 4))
# Devices that multiply matrices; the tolerance is that of a product without noise.
_MULTIPLIERS = [
    Part("circulant 5×7", lambda: optics.CirculantMultiplier(load("ideal", pixels=(5, 7)))),
    Part("circulant correlator", lambda: optics.CirculantMultiplier(optics.Correlator(optics.dft((4, 3))))),
    Part("balanced", lambda: optics.VectorMatrixMultiplier(_exact_line)),
    Part("offset", lambda: optics.VectorMatrixMultiplier(_exact_line, signs="offset")),
    Part("differential", lambda: optics.VectorMatrixMultiplier(_exact_line, signs="differential")),
    Part("coherent", lambda: optics.VectorMatrixMultiplier(_exact_line, optics.Coherent())),
    Part(
        "sliced",
        lambda: optics.mapping.SlicedMultiplier(
            optics.VectorMatrixMultiplier(_exact_line, optics.Coherent()), bits=9, slices=4
        ),
    ),
    Part("one shot", lambda: optics.MatrixMatrixMultiplier(optics.transfer.ExactProduct((3, 4, 5)))),
    Part(
        "balanced, compiled",
        lambda: optics.VectorMatrixMultiplier(_crossed((1, 5, 4))).with_fitted_gains(),
        tolerance=0.05,
    ),
    Part(
        "coherent, compiled",
        lambda: optics.VectorMatrixMultiplier(
            _crossed((1, 5, 4)), optics.PhaseShifting(4)
        ).with_fitted_gains(),
        tolerance=0.05,
    ),
    Part(
        "one shot, compiled",
        lambda: optics.MatrixMatrixMultiplier(_crossed((3, 4, 3), width=12)).with_fitted_gains(),
        tolerance=0.08,
    ),
]

# Layers that mix the tokens of a text of 128.
_MIXERS = [
    Part("linear", lambda rngs: nets.LinearSelfAttention(32, 4, rngs=rngs)),
    Part("canonical", lambda rngs: nets.LinearSelfAttention(32, 4, "canonical", rngs=rngs)),
    Part("conv1d", lambda rngs: nets.ConvSelfAttention((32,), 4, rngs=rngs)),
    Part("conv2d", lambda rngs: nets.ConvSelfAttention((4, 8), 4, rngs=rngs)),
    Part("spectral", lambda rngs: nets.ConvSelfAttention((4, 8), 4, spectral=True, rngs=rngs)),
    Part("lambda", lambda rngs: nets.LambdaLayer(32, 4, 16, 128, rngs=rngs)),
    Part(
        "local lambda", lambda rngs: nets.LambdaLayer(32, 4, 16, 5, "zero", normalization="layer", rngs=rngs)
    ),
    Part(
        "causal lambda",
        lambda rngs: nets.LambdaLayer(32, 4, 16, 128, "causal", normalization="layer", rngs=rngs),
    ),
    Part("long convolution", lambda rngs: nets.layers.LongConvolution(32, 128, rngs=rngs)),
    Part("local convolution", lambda rngs: nets.layers.LongConvolution(32, 5, "zero", rngs=rngs)),
    # The mean of normalised tokens alone, added again and again: the first block has 13 times the gradient of
    # the last.
    Part("mean", lambda rngs: nets.layers.TokenMean(32), tolerance=15),
    Part("causal mean", lambda rngs: nets.layers.TokenMean(32, causal=True), tolerance=15),
    # Of post-norm blocks the first has a twentieth of the gradient of the last: that of the mean of tokens
    # goes to one token, whose large numbers the norm divides by.
    Part("fourier", lambda rngs: nets.FourierMixing(32, (4, 8)), tolerance=25),
]


def _by_name(parts):
    return {part.name: part for part in parts}


EFFECTS, MEASUREMENTS, ENCODERS, DEVICES = map(_by_name, (_EFFECTS, _MEASUREMENTS, _ENCODERS, _DEVICES))
MIXERS, MULTIPLIERS = _by_name(_MIXERS), _by_name(_MULTIPLIERS)
# On light as it leaves a modulator.
MODULATIONS = {name: part for name, part in EFFECTS.items() if isinstance(part.make(), effects.Modulation)}
