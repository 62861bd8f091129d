"""The parts that property tests run over: a new one is tested by adding one line here."""

import functools
import math

import jax
import jax.numpy as jnp

import optics
from optics import effects

EFFECTS = {
    "shot": effects.Shot(1e3),
    "exact shot": effects.Shot(1e3, exact=True),
    "balanced shot": effects.BalancedShot(1e3),
    "read": effects.Read(0.01),
    "dark": effects.Dark(0.01),
    "gain": effects.Gain(1.05),
    "saturate": effects.Saturate(0.8),
    "quantize": effects.Quantize(6),
    "bias": effects.Bias(0.02),
    "stuck pixels": effects.StuckPixels([[0.1]], 0.5),
    "phase levels": effects.PhaseQuantize(4),
    "phase table": effects.PhaseLUT([0.0, 2.8, 6.0]),
    "phase residue": effects.PhaseLUT(a2=0.02, a3=0.01, stretch=0.02),
    "crosstalk": effects.Crosstalk(effects.SuperGaussian(), response=effects.PhaseLUT(stretch=0.02)),
    "extinction": effects.Extinction(1000.0),
    "dead space": effects.DeadSpace(0.87, 0.5, 1.0),
    "flicker": effects.Flicker(0.195),
    "flicker in step": effects.Flicker(0.195, common=True),
    "flicker out of step": effects.Flicker(0.195, common=True, cycles=0.5, proportional=True),
    "drift": effects.Drift([[[0.0]], [[0.3]]], 60.0, 20.0, -1e-3),
    "laser": effects.LaserNoise(0.05),
    "wandering laser": effects.LaserNoise(0.05, pointing=0.01),
    "signed quantize": effects.Quantize(6, signed=True),
}

# Each effect where it does nothing.
LIMITS = {
    "shot": effects.Shot(1e18),
    "exact shot": effects.Shot(1e18, exact=True),
    "balanced shot": effects.BalancedShot(1e18),
    "read": effects.Read(0.0),
    "dark": effects.Dark(0.0),
    "gain": effects.Gain(1.0),
    "saturate": effects.Saturate(1e6),
    "quantize": effects.Quantize(16),
    "bias": effects.Bias(0.0),
    "stuck pixels": effects.StuckPixels([[0.0]], 0.5),
    "phase levels": effects.PhaseQuantize(16),
    "phase table": effects.PhaseLUT([0.0, 2 * math.pi]),
    "phase residue": effects.PhaseLUT(),
    "crosstalk": effects.Crosstalk(effects.SuperGaussian(1e5), response=effects.PhaseLUT()),
    "extinction": effects.Extinction(1e18),
    "dead space": effects.DeadSpace(1.0, 0.5, 1.0),
    "flicker": effects.Flicker(0.0),
    "flicker in step": effects.Flicker(0.0, common=True),
    "flicker out of step": effects.Flicker(0.0, common=True, cycles=0.5, proportional=True),
    "drift": effects.Drift([[[0.0]], [[0.0]]], 60.0, 20.0),
    "laser": effects.LaserNoise(0.0),
    "wandering laser": effects.LaserNoise(0.0, pointing=0.0),
    "signed quantize": effects.Quantize(16, signed=True),
}

# On light as it leaves a modulator.
MODULATIONS = {name: effect for name, effect in EFFECTS.items() if isinstance(effect, effects.Modulation)}
DARK_MODULATIONS = {"extinction", "dead space"}  # they send light of their own where all is dark

MEASUREMENTS = {
    "coherent": optics.Coherent(),
    "balanced": optics.Balanced(),
    "off-axis": optics.OffAxis(),
    "offset": optics.Offset(),
    "2 steps": optics.PhaseShifting(2),
    "3 steps": optics.PhaseShifting(3),
    "4 steps": optics.PhaseShifting(4),
    "5 steps, weak reference": optics.PhaseShifting(5, reference=0.3),
}

_lens = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)


@functools.cache
def _loaded(_double, name, **overrides):
    # Numbers, also where the first to ask is being traced.
    with jax.ensure_compile_time_eval():
        return optics.presets.load(name, **overrides)


def load(name, **overrides):
    """A preset, built once for each precision."""
    return _loaded(jnp.result_type(float), name, **overrides)


DEVICES = {
    "ideal": lambda: optics.presets.load("ideal"),
    "ideal 3×4": lambda: optics.presets.load("ideal", pixels=(3, 4)),
    "ideal 1×6": lambda: optics.presets.load("ideal", pixels=(1, 6)),
    "engine11": lambda: load("engine11"),
    "engine11, exact transform": lambda: optics.presets.load("engine11", level="ideal"),
    "wave 5×5": lambda: optics.FourierProcessor(_lens),
    "camera 6×6": lambda: optics.FourierProcessor(
        optics.dft(6),
        optics.PhaseShifting(4),
        slm=(effects.Quantize(8, signed=True),),
        camera=(
            effects.Gain(0.99),
            effects.Dark(1e-3),
            effects.Shot(3e4),
            effects.Saturate(),
            effects.Read(1e-3),
            effects.Quantize(12),
        ),
    ),
    "correlator 3×4": lambda: optics.Correlator(optics.dft((3, 4))),
    "joint transform 1×5": lambda: optics.JointTransform(optics.dft((1, 27)), (1, 5)),
}
