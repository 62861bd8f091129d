"""Every public callable with good arguments, and what is wrong for each kind of argument.

A new public name is one line of `_optics_calls` or `_layer_calls`: its path, and each of its arguments with a
good value and a kind. A kind is the dictionary of what no argument of that kind may be, by a label; what one
argument allows is taken out of it in the line (`NUMBER - {"infinite"}`).
"""

import functools
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import imageio.v3
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import nets
import optics
from optics import (
    accounting,
    aging,
    detect,
    effects,
    encode,
    mapping,
    metrics,
    polarisation,
    presets,
    retrieve,
    twin,
    wave,
)
from tests.helpers_lab import metropro


class Call(NamedTuple):
    """A callable and good arguments.

    Attributes:
        path: as users write it; `path()` is the call of an object that `path` makes.
        function: the callable.
        good: arguments that it takes, by name.
        wrong: for each argument, what it must refuse, by a label.
    """

    path: str
    function: Callable
    good: dict[str, Any]
    wrong: dict[str, dict[str, Any]]


class Kind(dict):
    """What is wrong for a kind of argument, by a label."""

    def __add__(self, other: dict) -> "Kind":
        return Kind({**self, **other})

    def __sub__(self, labels: set[str]) -> "Kind":
        assert labels <= set(self), labels - set(self)
        return Kind({label: value for label, value in self.items() if label not in labels})


# What no argument may be, save those that take text, None, any object or any function.
ANY = Kind(
    none=None, text="bogus", dictionary={"a": 1}, object=object(), ragged=[[1.0], [1.0, 2.0]], texts=["x"]
)
NONE = {"none"}
# Numbers of physics: `VALUES` of any shape, `NUMBER` one number alone.
VALUES = ANY + {
    "complex": 1.0 + 1.0j,
    "nan": math.nan,
    "some nan": np.array([1.0, math.nan]),
    "infinite": math.inf,
    "empty": [],
    "bool": True,
    "huge": 10**400,
}
NUMBER = VALUES - {"some nan"} + {"vector": [1.0, 1.0], "matrix": np.ones((2, 2))}
BELOW_ZERO = {"negative": -1.0}
ZERO = {"zero": 0.0}
ABOVE_ONE = {"above one": 1.5}
ANY_NUMBER = VALUES - {"complex"}
# Whole numbers: of pixels, draws, bits.
COUNT = NUMBER + BELOW_ZERO + {"zero": 0, "fraction": 2.5, "vast": 10**9}
# Two numbers (y, x).
PAIR = ANY + {
    "number": 1.0,
    "empty": (),
    "one": (1.0,),
    "three": (1.0, 1.0, 1.0),
    "nan": (math.nan, 0.0),
    "infinite": (0.0, math.inf),
    "complex": (1j, 0.0),
    "text inside": ("a", 0.0),
    "none inside": (None, 0.0),
    "matrix": np.ones((2, 2)),
}
# Pixels: `SIZE` (rows, columns), `SIZES` also one number for both, `SHAPE` of an array with leading axes.
SIZE = ANY + {
    "empty": (),
    "one": (5,),
    "three": (2, 2, 2),
    "zero": (0, 5),
    "negative": (-1, 5),
    "fraction": (2.5, 3),
    "nan": (math.nan, 3),
    "text inside": ("a", 3),
    "bool": True,
    "complex": 1j,
    "huge": (10**6, 10**6),
    "vast": (10**30, 2),
    "number": 2.5,
}
SHAPE = SIZE - {"one", "three", "empty", "zero", "huge"} + {"scalar": ()}
# Arrays: of planes (..., rows, columns), also without any; of real numbers that must be finite.
PLANES = ANY + {
    "number": 1.0,
    "vector": np.ones(4),
    "objects": np.array([[None, 1.0], [1.0, 2.0]], object),
    "strings": np.array([["a", "b"]]),
    "times": np.zeros((2, 2), "datetime64[s]"),
}
FINITE = {"nan": np.full((4, 4), np.nan), "infinite": np.full((4, 4), np.inf)}
AMPLITUDES = PLANES + FINITE + {"complex": np.full((4, 4), 1j), "negative": -np.ones((4, 4))}
LINES = PLANES - {"vector", "strings"}
MASKS = PLANES + {"plane": np.ones((4, 4)), "nan": np.full((3, 4, 4), np.nan)}
# Other things.
KEY = ANY + {
    "zero": 0,
    "fraction": 1.5,
    "bool": True,
    "numbers": [0, 1],
    "floats": np.zeros(2),
    "words": np.zeros(5, np.uint32),
    "rows of words": np.zeros((3, 2), np.uint32),
    "keys": jax.random.split(jax.random.key(0), 2),
}
DEVICE = ANY + {
    "number": 3,
    "name": "engine11",
    "class": optics.FourierProcessor,
    "transfer": optics.dft(2),
    "list": [optics.FourierProcessor(optics.dft(2))],
}
PART = ANY + {"number": 3, "class": int, "list": [1]}
EFFECTS = (
    ANY - {"object"} + {"number": 3, "class": effects.Gain, "object inside": (object(),), "object": object()}
)
FLAG = ANY + {"number": 2, "fraction": 0.5, "nan": math.nan, "bools": [True]}
CHOICE = ANY + {"number": 3, "bool": True, "empty": "", "bytes": b"add"}
FUNCTION = ANY + {"number": 3, "list": [abs]}
TEXT = ANY + {"number": 3, "bool": True, "path": "../engine11", "long": "x" * 100_000}
RNGS = ANY + {"number": 0, "key": jax.random.key(0), "bool": True}
GRADIENT = CHOICE - NONE


def positive(kind: Kind) -> Kind:
    return kind + BELOW_ZERO + ZERO


def share(kind: Kind) -> Kind:
    """Above 0 and at most 1."""
    return positive(kind) + ABOVE_ONE


@functools.cache
def calls() -> list[Call]:
    """All of them."""
    return [*_optics_calls(), *_layer_calls()]


# Values that functions return, bases of the user's own parts, and tools that take no arguments.
WITHOUT_ARGUMENTS = {
    "optics.AbstractDevice",
    "optics.AbstractMeasurement",
    "optics.AbstractTransfer",
    "optics.Coherent",
    "optics.Exposure",
    "optics.RefinedPattern",
    "optics.accounting.Assumption",
    "optics.accounting.Counts",
    "optics.accounting.Ledger",
    "optics.accounting.converters",
    "optics.accounting.electronics",
    "optics.accounting.hardware_names",
    "optics.effects.AbstractKernel",
    "optics.effects.Effect",
    "optics.effects.Modulation",
    "optics.effects.Noise",
    "optics.encode.ComplexAmplitude",
    "optics.encode.Encoder",
    "optics.glass.names",
    "optics.mapping.Folding",
    "optics.mapping.Partition",
    "optics.mapping.Packing",
    "optics.mapping.Plan",
    "optics.mapping.Tiling",
    "optics.presets.names",
    "optics.records.Correction",
    "optics.records.Wavefront",
    "optics.records.ZernikeFit",
    "optics.records.HardwareRecording",
    "optics.records.SlmsuiteCalibration",
    "optics.retrieve.Retrieved",
    "optics.twin.Fit",
    "optics.twin.LackOfFit",
    "optics.wave.SamplingWarning",
}


def write_slmsuite(path: Path) -> None:
    """The least that a calibration of slmsuite has."""
    with h5py.File(path, "w") as file:
        file["__version__"] = b"0.5.0"
        file["M"], file["b"] = np.eye(2), np.ones((2, 1))
        for name in ("slm", "cam"):
            file[f"__meta__/{name}/shape"], file[f"__meta__/{name}/bitdepth"] = [4, 4], 8
            file[f"__meta__/{name}/pitch_um"] = [8.0, 8.0]
        file["__meta__/slm/wav_um"], file["__meta__/slm/settle_time_s"] = 0.6, 0.0


def _line(path: str, function: Callable, /, **arguments: tuple[Any, Kind]) -> Call:
    good = {name: value for name, (value, _) in arguments.items()}
    return Call(path, function, good, {name: dict(kind) for name, (_, kind) in arguments.items()})


def _product_lines(a_key: tuple, a_device: tuple, camera: dict, headroom: tuple) -> list[Call]:
    """Products of matrices, and the devices and optics that make them."""
    engine = optics.FourierProcessor(optics.dft(4))
    multiplier = optics.CirculantMultiplier(engine)
    line, square = optics.ExactProduct((1, 4, 4)), optics.ExactProduct((4, 4, 4))
    lenses = optics.CrossedLenses((2, 2, 2), 8e-6, 532e-9, width=4)
    matrices, device = (np.ones((4, 4)), PLANES), (multiplier, DEVICE - NONE)
    gain = (
        1.0,
        VALUES - {"complex", "some nan", "empty"} + {"matrix": np.ones((3, 3)), "some nan": [math.nan]},
    )
    sizes = ANY + {
        "number": 4,
        "pair": (4, 4),
        "zero": (0, 4, 4),
        "fraction": (2.5, 4, 4),
        "vast": (10**30, 2, 2),
    }
    number, share_of = (1.0, positive(NUMBER)), (0.9, share(NUMBER))
    chains = dict(camera=camera["camera"])
    return [
        _line("optics.matmul", optics.matmul, a=matrices, b=matrices, device=device, key=a_key),
        _line(
            "optics.dot_general", optics.dot_general, device=device, key=a_key, gradient=("ideal", GRADIENT)
        ),
        _line(
            "optics.dot_general()",
            optics.dot_general(multiplier),
            lhs=(np.ones((4, 4)), PLANES - {"strings", "vector", "number"}),
            rhs=(np.ones((4, 4)), PLANES - {"strings", "vector", "number"}),
            dimension_numbers=((((1,), (0,)), ((), ())), Kind()),
        ),
        _line(
            "optics.mapping.SlicedMultiplier",
            mapping.SlicedMultiplier,
            multiplier=(multiplier, DEVICE),
            bits=(8, COUNT),
            slices=(2, COUNT),
        ),
        _line(
            "optics.Averaged",
            optics.Averaged,
            engine=(engine, DEVICE),
            inputs=(2, COUNT),
            kernels=(2, COUNT),
            products=(2, COUNT),
        ),
        _line("optics.CirculantMultiplier", optics.CirculantMultiplier, engine=(engine, DEVICE)),
        _line("optics.Devices", optics.Devices, convolve=(engine, DEVICE), matmul=(multiplier, DEVICE)),
        _line(
            "optics.VectorMatrixMultiplier",
            optics.VectorMatrixMultiplier,
            lenses=(line, PART),
            measurement=(optics.Coherent(), PART - NONE),
            signs=("balanced", CHOICE),
            sources=((), EFFECTS),
            slm=((), EFFECTS),
            **chains,
            input_gain=gain,
            output_gain=gain,
            headroom=headroom,
        ),
        _line(
            "optics.MatrixMatrixMultiplier",
            optics.MatrixMatrixMultiplier,
            lenses=(square, PART),
            measurement=(optics.Coherent(), PART - NONE),
            slm_a=((), EFFECTS),
            slm_b=((), EFFECTS),
            **chains,
            input_gain=gain,
            output_gain=gain,
            headroom=headroom,
        ),
        _line("optics.ExactProduct", optics.ExactProduct, shape=((4, 4, 4), sizes)),
        _line(
            "optics.Bilinear",
            optics.Bilinear,
            coupling=(np.ones((1, 1, 4, 4)), PLANES - {"strings"} + {"plane": np.ones((4, 4))}),
            spread=(np.ones((1, 4)), PLANES - {"strings"} + {"other": np.ones((2, 4))}),
            image=(np.eye(4), PLANES - {"strings"} + {"other": np.eye(3)}),
        ),
        _line("optics.compile_crossed", optics.compile_crossed, lenses=(lenses, PART)),
        _line(
            "optics.CrossedLenses",
            optics.CrossedLenses,
            shape=((2, 2, 2), sizes),
            pitch=(8e-6, positive(NUMBER)),
            wavelength=(532e-9, positive(NUMBER)),
            width=(4, COUNT - NONE),
            cycles=((0.0, 1.0), PAIR - NONE - {"text inside", "none inside"}),
            phase_bits=(4, COUNT - NONE),
            row_pitch=(8e-6, positive(NUMBER) - NONE),
            fill=share_of,
            detector_fill=share_of,
            pupil=number,
            slit=(1.0, positive(NUMBER) - {"infinite"}),
            aberrations=((0.0, 0.1), ANY + {"number": 1.0, "nan": (math.nan,), "matrix": np.ones((2, 2))}),
            shift=(0.5, NUMBER),
            oversampling=(8, COUNT),
        ),
    ]


def _polarisation_lines() -> list[Call]:
    """Jones calculus, and panels in light off their director."""
    angle, one_angle = (0.3, VALUES), (0.3, NUMBER)
    extinction = VALUES - {"infinite"} + BELOW_ZERO + ZERO + {"half": 0.5}
    wrong = ANY + {"number": 1.0, "empty": [], "three": np.ones(3), "strings": np.array(["a", "b"])}
    vectors = (np.array([1.0, 1j]), wrong + {"column": np.ones((2, 1))})
    matrices = (np.eye(2), wrong + {"vector": np.ones(2), "wider": np.ones((2, 3))})
    settings = VALUES + {"other": np.ones(3), "matrix": np.ones((4, 4))}
    lines = [
        (polarisation.linear, {"angle": angle}),
        (polarisation.circular, {"handedness": ("right", CHOICE)}),
        (polarisation.rotation, {"angle": angle}),
        (polarisation.polariser, {"angle": angle, "extinction": (100.0, extinction)}),
        (polarisation.wave_plate, {"retardance": angle, "angle": angle}),
        (polarisation.half_wave_plate, {"angle": angle}),
        (polarisation.quarter_wave_plate, {"angle": angle}),
        (polarisation.parallel_aligned, {"phase": angle, "angle": angle}),
        (polarisation.twisted_nematic, {"twist": angle, "retardance": angle, "angle": angle}),
        (
            polarisation.twisted_nematic_transmission,
            {"retardance": angle, "twist": angle, "polariser": angle, "analyser": angle},
        ),
        (
            polarisation.stokes,
            {
                "field": (np.ones((2, 2)), vectors[1] - {"column"} + {"vector": np.ones(2)}),
                "weights": (
                    [0.5, 0.5],
                    VALUES - NONE + BELOW_ZERO + {"three": np.ones(3), "minus": [0.5, -0.5]},
                ),
            },
        ),
        (
            polarisation.degree_of_polarisation,
            {"parameters": ([1.0, 0.0, 0.0, 0.0], wrong + {"complex": np.ones(4) + 1j})},
        ),
        (polarisation.mueller, {"jones": matrices}),
        (polarisation.analyser, {"angle": angle, "retardance": angle, "plate_angle": angle}),
        (
            polarisation.stokes_from_intensities,
            {
                "intensities": (np.ones(4), wrong + {"complex": np.ones(4) + 1j, "few": np.ones(3)}),
                "angle": (0.0, settings),
                "retardance": (1.6, settings + ZERO),
                "plate_angle": (np.array([0.0, 0.4, 0.9, 1.4]), settings + {"alike": np.zeros(4)}),
                "linear": (False, FLAG),
            },
        ),
        (effects.unmodulated_modes, {"polarisation": one_angle}),
        (
            effects.analysed_modes,
            {
                "polarisation": angle,
                "analyser": angle,
                "extinction": (100.0, NUMBER - {"infinite"} + BELOW_ZERO + ZERO + {"half": 0.5}),
            },
        ),
        (effects.ParallelAligned, {"polarisation": angle, "analyser": angle}),
        (
            effects.TwistedNematic,
            {
                "retardance": ([0.0, 3.0, 6.0], VALUES + {"one": [1.0], "matrix": np.ones((2, 2))}),
                "twist": one_angle,
                "polariser": one_angle,
                "analyser": one_angle,
                "gain": (1.0, positive(VALUES)),
                "lookup": ("linear", CHOICE),
            },
        ),
    ]
    return [
        _line(f"{'.'.join(function.__module__.split('.')[:2])}.{function.__name__}", function, **arguments)
        for function, arguments in lines
    ] + [
        _line(
            "optics.polarisation.transmit",
            lambda field, elements: polarisation.transmit(field, elements),
            field=vectors,
            elements=matrices,
        )
    ]


def _mode_lines() -> list[Call]:
    """Transfers, effects and devices whose light has modes."""
    lens = optics.FourierLens(3, pitch=127e-6, wavelength=1.55e-6)
    stack = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), optics.dft(4))
    engine = optics.FourierProcessor(optics.Modal(stack, [1.0, 1.0]))
    gain, weights = (
        VALUES - {"complex"},
        VALUES - NONE + BELOW_ZERO + {"dark": [0.0, 0.0], "three": np.ones(3)},
    )
    channel_gains = (np.ones((2, 4, 4)), VALUES - NONE - {"complex"} + {"plane": np.ones((4, 4))})
    lut = effects.PhaseLUT()
    return [
        _line(
            "optics.Modal",
            optics.Modal,
            transfer=(stack, PART + {"one mode": optics.dft(4)}),
            weights=([1.0, 1.0], weights + {"number": 1.0, "none": None}),
            phases=([0.0, 0.0], VALUES - NONE + {"number": 1.0, "three": np.ones(3)}),
        ),
        _line(
            "optics.reduce_modes",
            optics.reduce_modes,
            modal=(engine.transfer, PART),
            tolerance=(1e-2, NUMBER - NONE + BELOW_ZERO + ZERO + ABOVE_ONE),
            modes=(None, COUNT - NONE),
        ),
        _line(
            "optics.illuminate",
            optics.illuminate,
            lens=(lens, PART),
            light=(optics.light.laser(1.55e-6), PART),
            glass=("N-BK7", CHOICE - NONE),
            path_difference=(0.0, NUMBER),
        ),
        _line(
            "optics.effects.PerMode",
            effects.PerMode,
            nominal=(lut, PART),
            of_modes=(jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), lut), PART + {"one mode": lut}),
        ),
        _line(
            "optics.effects.phase_dispersion",
            effects.phase_dispersion,
            light=(optics.light.laser(600e-9), PART),
            crystal=("E7", CHOICE - NONE),
        ),
        _line(
            "optics.WavelengthChannels",
            optics.WavelengthChannels,
            engine=(engine, DEVICE + {"one mode": optics.FourierProcessor(optics.dft(4))}),
            crosstalk=(0.0, VALUES + BELOW_ZERO + ABOVE_ONE + {"three": np.zeros((3, 3))}),
            input_gain=channel_gains,
            output_gain=channel_gains,
        ),
        _line(
            "optics.IncoherentCorrelator",
            optics.IncoherentCorrelator,
            first=(optics.dft(4), PART),
            second=(optics.dft(4), PART - NONE),
            slm=((), EFFECTS),
            filter=((), EFFECTS),
            camera=((), EFFECTS),
            input_gain=(1.0, gain),
            output_gain=(1.0, gain),
            headroom=(1.05, positive(NUMBER)),
        ),
    ]


def _light_lines() -> list[Call]:
    """Light of several modes, refractive indices, and incoherent images."""
    light, glass = optics.light, optics.glass
    wavelength, bright = (633e-9, positive(NUMBER)), VALUES - NONE + BELOW_ZERO
    size, side = NUMBER + BELOW_ZERO, VALUES + BELOW_ZERO + {"three": np.ones(3), "matrix": np.eye(2)}
    laser, other = light.laser(633e-9), light.laser(700e-9)
    width, shape = (1e-9, NUMBER + BELOW_ZERO + {"wide": 1e-3}), ("gaussian", CHOICE)
    powers = ([0.5, 0.5], bright + {"three": np.ones(3), "dark": [0.0, 0.0], "number": 1.0})
    colours = positive(VALUES) + {"three": np.ones(3), "matrix": np.ones((2, 2))}
    between = {
        "light": (laser, PART),
        "delay": (1e-13, VALUES),
        "separation": ([0.0, 1e-3], PAIR - {"matrix"}),
    }
    inside = ("N-BK7", CHOICE), (600e-9, positive(VALUES) + {"outside": 5e-6})
    return [
        _line("optics.light.laser", light.laser, wavelength=wavelength),
        _line(
            "optics.light.channels",
            light.channels,
            wavelength=([633e-9, 700e-9], colours + {"number": 633e-9}),
            weights=powers,
        ),
        _line(
            "optics.light.Light",
            light.Light,
            weights=([0.5, 0.5], VALUES + BELOW_ZERO + {"dark": [0.0, 0.0], "matrix": np.eye(2)}),
            wavelength=(633e-9, colours),
            tilt=(np.zeros((2, 2)), PAIR - {"matrix"} + {"rows": np.zeros((3, 2))}),
            detuning=([0.0, 1e-3], VALUES + {"three": np.ones(3), "below": -1.0}),
        ),
        _line(
            "optics.light.product",
            light.product,
            line=(laser, PART),
            source=(laser, PART + {"another carrier": other}),
        ),
        _line(
            "optics.light.line",
            light.line,
            wavelength=wavelength,
            width=width,
            shape=shape,
            modes=(3, COUNT),
        ),
        _line(
            "optics.light.disc",
            light.disc,
            wavelength=wavelength,
            radius=(1e-3, size),
            rings=(2, COUNT),
            spokes=(6, COUNT),
        ),
        _line(
            "optics.light.gaussian",
            light.gaussian,
            wavelength=wavelength,
            sigma=(1e-3, side),
            modes=((2, 3), SIZE),
        ),
        _line("optics.light.chip", light.chip, wavelength=wavelength, size=(1e-3, side), modes=(2, SIZE)),
        _line(
            "optics.light.sample",
            light.sample,
            wavelength=wavelength,
            modes=(4, COUNT),
            width=width,
            shape=shape,
            size=(1e-3, side),
            source=("disc", CHOICE),
            seed=(1, COUNT - {"zero"}),
        ),
        _line("optics.light.coherence", light.coherence, **between),
        _line("optics.light.visibility", light.visibility, **between),
        _line(
            "optics.light.coherent_modes",
            light.coherent_modes,
            mutual_intensity=(
                np.eye(4),
                PLANES
                + FINITE
                + {"wide": np.ones((2, 3)), "skew": [[1.0, 1.0], [0.0, 1.0]], "negative": -np.eye(2)}
                + {"dark": np.zeros((2, 2)), "space": np.ones((2, 2, 2))},
            ),
            modes=(2, COUNT - NONE),
        ),
        _line("optics.glass.index", glass.index, name=inside[0], wavelength=inside[1]),
        _line("optics.glass.group_index", glass.group_index, name=inside[0], wavelength=inside[1]),
        _line(
            "optics.glass.focal_length",
            glass.focal_length,
            name=inside[0],
            focal_length=(0.1, NUMBER + ZERO),
            design_wavelength=(600e-9, positive(NUMBER) + {"outside": 5e-6}),
            wavelength=inside[1],
        ),
        _line(
            "optics.wave.optical_transfer_function",
            wave.optical_transfer_function,
            pupil=(np.ones((4, 4)), PLANES),
        ),
        _line("optics.effects.Speckle", effects.Speckle, contrast=(0.1, VALUES + BELOW_ZERO + ABOVE_ONE)),
    ]


def _optics_calls() -> list[Call]:
    key, device, plane = jax.random.key(0), optics.FourierProcessor(optics.dft(4)), jnp.ones((4, 4))
    lens = optics.FourierLens(3, pitch=127e-6, wavelength=1.55e-6)
    history = effects.Drift(np.zeros((2, 4, 4)), 60.0)
    aged = optics.FourierProcessor(optics.dft(4), slm=(history,))
    bench = optics.FourierProcessor(optics.dft(4), optics.PhaseShifting(4), (effects.Gain(plane),))
    exposures = bench.prepare(jnp.ones((3, 4, 4)) + jnp.eye(4))
    frames = np.array(bench.expose(exposures, key))
    recording = optics.Recording.of(bench, jnp.ones((3, 4, 4)) + jnp.eye(4), frames)
    support = np.ones((4, 4), bool)
    numbers = np.ones((20, 4, 4)) + np.random.default_rng(0).normal(size=(20, 4, 4))

    shape, dx, wavelength = ((4, 4), SIZE), (8e-6, positive(NUMBER)), (5e-7, positive(NUMBER))
    focal_length = (0.1, NUMBER + ZERO)
    centre = ((0.0, 0.0), PAIR)
    field = (plane, PLANES)
    a_key, a_device, any_device = (key, KEY - NONE), (device, DEVICE - NONE), (device, DEVICE)
    choose_none = NONE
    flag = (False, FLAG)

    def calls_of_waves():
        at = {"dx": dx, "wavelength": wavelength}
        plate = {"shape": shape, **at}
        return [
            _line(
                "optics.wave.aberration",
                wave.aberration,
                shape=shape,
                dx=dx,
                radius=(2e-5, positive(NUMBER)),
                coefficients=([0.1, 0.2], PAIR - {"one", "three", "empty", "dictionary"}),
                centre=centre,
            ),
            _line("optics.wave.angular_spectrum", wave.angular_spectrum, u=field, **at, z=(1e-4, NUMBER)),
            _line("optics.wave.transfer_function", wave.transfer_function, **plate, z=(1e-4, NUMBER)),
            _line(
                "optics.wave.aperture",
                wave.aperture,
                shape=shape,
                dx=dx,
                radius=(2e-5, positive(NUMBER)),
                centre=centre,
            ),
            _line(
                "optics.wave.pixel_apertures",
                wave.pixel_apertures,
                samples=(8, COUNT),
                count=(2, COUNT),
                per_pixel=(4, COUNT),
                fill=(0.5, share(NUMBER)),
            ),
            _line(
                "optics.wave.rectangle",
                wave.rectangle,
                shape=shape,
                dx=dx,
                size=((2e-5, 2e-5), PAIR + {"negative": (-1.0, 1.0)}),
                centre=centre,
            ),
            _line(
                "optics.wave.band_limited_angular_spectrum",
                wave.band_limited_angular_spectrum,
                u=field,
                **at,
                z=(1e-4, NUMBER),
                shift=centre,
            ),
            _line(
                "optics.wave.gaussian",
                wave.gaussian,
                shape=shape,
                dx=dx,
                waist=(2e-5, positive(NUMBER)),
                centre=centre,
            ),
            _line("optics.wave.tilt", wave.tilt, **plate, angles=centre),
            _line("optics.wave.focus", wave.focus, u=field, **at, focal_length=(0.1, positive(NUMBER))),
            _line("optics.wave.fraunhofer", wave.fraunhofer, u=field, **at, z=(0.1, positive(NUMBER))),
            _line(
                "optics.wave.fraunhofer_spacing", wave.fraunhofer_spacing, **plate, z=(0.1, positive(NUMBER))
            ),
            _line("optics.wave.fresnel", wave.fresnel, u=field, **at, z=(1e-4, NUMBER)),
            _line(
                "optics.wave.fresnel_impulse_response",
                wave.fresnel_impulse_response,
                u=field,
                **at,
                z=(0.1, NUMBER + ZERO),
            ),
            _line(
                "optics.wave.aspheric_lens",
                wave.aspheric_lens,
                **plate,
                focal_length=focal_length,
                conic=(-1.0, NUMBER),
                coefficients=((1.0, 0.0), PAIR - {"one", "three", "empty"}),
                centre=centre,
            ),
            _line(
                "optics.wave.cylindrical_lens",
                wave.cylindrical_lens,
                **plate,
                focal_length=focal_length,
                angle=(0.0, NUMBER),
                centre=centre,
            ),
            _line(
                "optics.wave.defocus",
                wave.defocus,
                **plate,
                focal_length=focal_length,
                distance=(0.0, NUMBER),
                centre=centre,
            ),
            _line("optics.wave.lens", wave.lens, **plate, focal_length=focal_length, centre=centre),
            _line(
                "optics.wave.spherical_lens",
                wave.spherical_lens,
                **plate,
                focal_length=focal_length,
                centre=centre,
            ),
            _line("optics.wave.critical_distance", wave.critical_distance, **plate),
            _line("optics.wave.fringe", wave.fringe, index=(4, COUNT)),
            _line("optics.wave.noll", wave.noll, index=(4, COUNT)),
            _line(
                "optics.wave.noll_index",
                wave.noll_index,
                n=(2, COUNT - {"zero"}),
                m=(0, COUNT - {"zero", "negative"}),
            ),
            _line("optics.wave.osa", wave.osa, index=(4, COUNT - {"zero"})),
            _line("optics.wave.zernike", wave.zernike, index=(4, COUNT), rho=(0.5, ANY), theta=(0.5, ANY)),
            _line("optics.wave.zernike_xy", wave.zernike_xy, index=(4, COUNT), x=(0.5, ANY), y=(0.5, ANY)),
            _line(
                "optics.wave.zoom",
                wave.zoom,
                u=field,
                **at,
                z=(0.1, NUMBER + ZERO),
                dx_out=(1e-5, positive(NUMBER)),
                shape=((3, 3), SIZE),
                shift=centre,
            ),
        ]

    def calls_of_transfers():
        pixels = (4, SIZE + COUNT)
        square = ANY + {"number": 1.0, "vector": np.ones(4), "real": np.eye(16), "cube": np.ones((2, 2, 2))}
        return [
            _line(
                "optics.FourierLens",
                optics.FourierLens,
                pixels=(3, SIZE + COUNT),
                pitch=(127e-6, positive(NUMBER)),
                wavelength=(1.55e-6, positive(NUMBER)),
                focal_length=(0.03, positive(NUMBER) - NONE),
                fill=(1.0, share(NUMBER)),
                detector_fill=(1.0, share(NUMBER)),
                pupil_radius=(5.5e-4, positive(NUMBER) - NONE),
                profile=(wave.lens, FUNCTION),
                aberrations=((0.1, 0.2), PAIR - {"one", "three", "empty"}),
                defocus=(0.0, NUMBER),
                decentre=centre,
                tilt=centre,
                waist=(1.0, positive(NUMBER) - {"infinite"}),
                subpixels=(1, COUNT),
                oversampling=(8, COUNT - NONE),
                plane=(192, COUNT - NONE),
                orders=(1, COUNT - NONE),
            ),
            _line(
                "optics.compile_transfer",
                optics.compile_transfer,
                lens=(lens, PART),
                terms=(1, COUNT - NONE),
                tolerance=(1e-3, share(NUMBER) - NONE),
                folder=(tempfile.mkdtemp(), TEXT - NONE - {"text", "path", "long"}),
            ),
            _line(
                "optics.MaskedFFT",
                optics.MaskedFFT,
                masks_in=(jnp.ones((1, 4, 4)), square - {"cube", "real"}),
                masks_out=(jnp.ones((1, 4, 4)), square - {"cube", "real"}),
                peak=(1.0, positive(NUMBER) - NONE),
                residual=(0.0, NUMBER + BELOW_ZERO),
                subpixels=(1, COUNT),
            ),
            _line(
                "optics.share_plane",
                optics.share_plane,
                part=(optics.dft(32), PART),
                mesh=(jax.sharding.Mesh(jax.devices()[:1], ("rows",)), PART),
            ),
            _line(
                "optics.Propagation",
                optics.Propagation,
                before=(jnp.ones((16, 16)), PLANES),
                lens=(jnp.ones((16, 16)), PLANES),
                after=(jnp.ones((16, 16)), PLANES),
                illumination=(jnp.ones((4, 4)), PLANES),
                peak=(1.0, positive(NUMBER)),
                shape=((4, 4), SIZE),
                strides=((2, 8, 8), SIZE - {"three"}),
                subpixels=(1, COUNT),
            ),
            _line(
                "optics.Dense",
                optics.Dense,
                matrix=(jnp.eye(16, dtype=complex), square - {"real"}),
                shape=((4, 4), SIZE),
                subpixels=(1, COUNT),
            ),
            _line(
                "optics.Separable",
                optics.Separable,
                rows=(jnp.ones((1, 4, 4), complex), square - {"cube", "real"}),
                cols=(jnp.ones((1, 4, 4), complex), square - {"cube", "real"}),
                peak=(1.0, positive(NUMBER)),
                residual=(0.0, NUMBER + BELOW_ZERO),
                subpixels=(1, COUNT),
            ),
            _line("optics.dft", optics.dft, shape=pixels),
        ]

    def calls_of_devices():
        gain = (1.0, VALUES - {"complex"})
        headroom = (1.05, positive(NUMBER))
        camera = {
            "measurement": (detect.Coherent(), PART - NONE),
            "slm": ((), EFFECTS),
            "camera": ((), EFFECTS),
        }
        line = optics.dft((1, 27))
        return [
            _line(
                "optics.Correlator",
                optics.Correlator,
                first=(optics.dft(4), PART),
                second=(optics.dft(4), PART - NONE),
                **camera,
                filter=((), EFFECTS),
                input_gain=gain,
                output_gain=gain,
                headroom=headroom,
                encoder=(encode.ComplexAmplitude(), PART - NONE),
                encode_filter=(encode.complex_amplitude, FUNCTION),
                metering=flag,
            ),
            _line(
                "optics.FourierProcessor",
                optics.FourierProcessor,
                transfer=(optics.dft(4), PART),
                **camera,
                input_gain=gain,
                output_gain=gain,
                peak=(1.0, positive(NUMBER) - NONE),
                headroom=headroom,
                encoder=(encode.ComplexAmplitude(), PART - NONE),
                background=gain,
                full_scale=(1.0, positive(NUMBER) - NONE),
                metering=flag,
            ),
            _line(
                "optics.JointTransform",
                optics.JointTransform,
                transfer=(line, PART),
                shape=((1, 5), SIZE),
                **camera,
                detector=((), EFFECTS - NONE),
                input_gain=gain,
                output_gain=gain,
                headroom=headroom,
                metering=flag,
            ),
            _line("optics.External", optics.External, forward=(abs, FUNCTION), twin=(device, DEVICE)),
            _line(
                "optics.compile_device",
                optics.compile_device,
                device=any_device,
                terms=(1, COUNT - NONE),
                folder=(None, TEXT - NONE - {"text", "path", "long"}),
            ),
            _line(
                "optics.calibrate",
                optics.calibrate,
                device=any_device,
                probe=(numbers, AMPLITUDES - {"none", "complex", "negative"}),
                response=(numbers, AMPLITUDES - {"none", "complex", "negative"}),
                compensation=("amplitude", CHOICE),
                key=a_key,
                draws=(1, COUNT),
            ),
            _line(
                "optics.compensate",
                optics.compensate,
                device=any_device,
                twin=(device, DEVICE),
                compensation=("matrix", CHOICE),
            ),
            _line("optics.subtract_background", optics.subtract_background, device=any_device),
            _line(
                "optics.refine_pattern",
                optics.refine_pattern,
                device=(device, DEVICE),
                wanted=(
                    np.ones((4, 4)),
                    PLANES + FINITE + {"dark": np.zeros((4, 4)), "wide": np.ones((4, 5))},
                ),
                start=(device.prepare(plane), PART + {"wide": optics.Exposure(*3 * [np.ones((1, 4, 5))])}),
                twin=(device, DEVICE),
                rounds=(1, COUNT),
                steps=(1, COUNT),
                rate=(0.1, positive(NUMBER)),
                vary=("amplitude", CHOICE),
                weight=(np.ones((4, 4)), AMPLITUDES - {"none"} + {"dark": np.zeros((4, 4))}),
                brightness=("free", CHOICE),
                key=a_key,
            ),
            *_product_lines(a_key, a_device, camera, headroom),
            _line("optics.convolve", optics.convolve, x=field, w=(plane, PLANES), device=a_device, key=a_key),
            _line("optics.transform", optics.transform, a=field, device=a_device, key=a_key, real=flag),
            _line(
                "optics.expected",
                optics.expected,
                f=(lambda key: jax.random.normal(key), FUNCTION),
                key=(key, KEY),
                draws=(1, COUNT),
            ),
            _line("optics.ideal_gradient", optics.ideal_gradient, f=(optics.convolve, FUNCTION)),
            _line("optics.optical_gradient", optics.optical_gradient, f=(optics.convolve, FUNCTION)),
            _line(
                "optics.conv_general_dilated",
                optics.conv_general_dilated,
                device=a_device,
                key=a_key,
                gradient=("ideal", GRADIENT),
            ),
            _line(
                "optics.conv_general_dilated()",
                optics.conv_general_dilated(device),
                lhs=(jnp.ones((1, 1, 4, 4)), PLANES),
                rhs=(jnp.ones((1, 1, 2, 2)), PLANES),
                window_strides=((1, 1), SIZE - {"huge", "vast"}),
                padding=("VALID", CHOICE - {"ragged"}),
                lhs_dilation=((1, 1), SIZE - {"none", "huge", "vast"}),
                rhs_dilation=((1, 1), SIZE - {"none", "huge", "vast"}),
                feature_group_count=(1, COUNT),
                batch_group_count=(1, COUNT),
            ),
            _line(
                "optics.ledger",
                optics.ledger,
                device=any_device,
                x_shape=((4, 4), SHAPE),
                w_shape=((4, 4), SHAPE),
                costs=("integrated", TEXT - {"none"}),
            ),
            _line(
                "optics.aging.at_time", aging.at_time, device=(aged, DEVICE), time=(1.0, NUMBER + BELOW_ZERO)
            ),
            _line(
                "optics.aging.error_over_time",
                aging.error_over_time,
                device=(aged, DEVICE),
                times=([0.0, 1.0], VALUES + BELOW_ZERO + {"matrix": np.ones((2, 2))}),
                every=(1.0, positive(NUMBER) - {"infinite"}),
                compensation=("complex", CHOICE),
                key=a_key,
                planes=(1, COUNT),
            ),
        ]

    def calls_of_measurements():
        reference = (1.0, positive(NUMBER))
        return [
            _line("optics.Balanced", optics.Balanced, reference=reference),
            _line("optics.Intensity", optics.Intensity, retrieve=(retrieve.hio, FUNCTION)),
            _line(
                "optics.OffAxis",
                optics.OffAxis,
                oversampling=(4, COUNT),
                reference=reference,
                fill=(1.0, share(NUMBER)),
            ),
            _line("optics.Offset", optics.Offset, offset=reference),
            _line(
                "optics.PhaseDiversity",
                optics.PhaseDiversity,
                steps=(4, COUNT - NONE),
                reference=reference,
                iterations=(2, COUNT),
            ),
            _line(
                "optics.PhaseDiversity(masks)",
                optics.PhaseDiversity,
                masks=(np.ones((3, 4, 4)), MASKS - NONE + {"dark": np.zeros((3, 4, 4))}),
            ),
            _line(
                "optics.PhaseShifting",
                optics.PhaseShifting,
                steps=(4, COUNT - NONE),
                reference=(1.0, positive(NUMBER) - NONE),
            ),
            _line(
                "optics.PhaseShifting(phases)",
                optics.PhaseShifting,
                phases=([0.0, 1.0, 2.0], VALUES - NONE + {"matrix": np.ones((2, 2)), "one": [0.0]}),
            ),
            _line(
                "optics.PhaseShifting(weights)",
                lambda **arguments: optics.PhaseShifting(phases=[0.0, math.pi / 2, math.pi], **arguments),
                weights=(
                    [0.5 - 0.5j, 1j, -0.5 - 0.5j],
                    ANY - NONE + {"nan": [math.nan] * 3, "two": [1.0, 1.0]},
                ),
            ),
        ]

    def calls_of_encoders():
        real = (plane, AMPLITUDES - {"negative"} - set(FINITE))
        count = (2, COUNT)
        return [
            _line("optics.encode.Amplitude", encode.Amplitude, exposures=count),
            _line("optics.encode.BitPlanes", encode.BitPlanes, bits=count, parts=count),
            _line("optics.encode.bit_planes", encode.bit_planes, a=real, bits=count),
            _line("optics.encode.Blazed", encode.Blazed, period=(4, COUNT), exposures=(1, COUNT)),
            _line("optics.encode.complex_amplitude", encode.complex_amplitude, a=field),
            _line(
                "optics.encode.DoublePhase",
                encode.DoublePhase,
                layout=("pair", CHOICE),
                exposures=(1, COUNT),
            ),
            _line("optics.encode.flat_spectrum", encode.flat_spectrum, spectrum=(plane + 0j, PLANES)),
            _line(
                "optics.encode.GuardPixels",
                encode.GuardPixels,
                encoder=(encode.SequentialPhase(), PART),
                group=(4, COUNT),
                guard=(1, COUNT - {"zero"}),
                phases=((0.0, math.pi), PAIR),
            ),
            _line("optics.encode.phase_only", encode.phase_only, spectrum=(plane + 0j, PLANES)),
            _line(
                "optics.encode.Predistorted",
                encode.Predistorted,
                encoder=(encode.SequentialPhase(), PART),
                modulator=((effects.Gain(1.0),), EFFECTS),
                steps=(1, COUNT),
            ),
            _line("optics.encode.SequentialPhase", encode.SequentialPhase, block=(8, COUNT)),
            _line("optics.encode.Superpixel", encode.Superpixel, size=(4, COUNT)),
        ]

    def calls_of_effects():
        level = (0.1, VALUES + BELOW_ZERO)
        any_level = (0.1, VALUES - {"complex"})
        count = (2, COUNT)
        unit = {"key": (key, KEY), "shape": shape}
        width = (0.01, NUMBER + BELOW_ZERO)
        optional = VALUES + BELOW_ZERO - NONE
        return [
            _line(
                "optics.effects.camera",
                effects.camera,
                full_well=(1e4, positive(VALUES)),
                read_noise=(2.0, VALUES + BELOW_ZERO),
                bits=(12, COUNT),
                quantum_efficiency=(0.5, share(VALUES)),
                photons=(1e4, positive(VALUES) - NONE),
                dark_current=level,
                exposure=level,
                gain=(0.1, positive(VALUES) - NONE),
                offset=(1.0, VALUES + BELOW_ZERO),
                prnu=(np.ones((4, 4)), optional + {"vector": np.ones(4)}),
                dsnu=(np.ones((4, 4)), VALUES - NONE + {"vector": np.ones(4)}),
                exact=flag,
                raw=flag,
                binned=(4.0, VALUES + BELOW_ZERO + ZERO - NONE),
            ),
            _line(
                "optics.effects.dark_current_at",
                effects.dark_current_at,
                temperature=(20.0, VALUES),
                reference=level,
                reference_temperature=(20.0, VALUES),
                doubling=(8.0, positive(VALUES)),
            ),
            _line(
                "optics.effects.photon_count",
                effects.photon_count,
                power=level,
                exposure=level,
                wavelength=(5e-7, positive(VALUES)),
            ),
            _line(
                "optics.effects.apply",
                effects.apply,
                effects=((effects.Gain(1.0),), EFFECTS),
                value=(plane, ANY),
                key=a_key,
            ),
            _line(
                "optics.effects.laser_power",
                effects.laser_power,
                effects=((effects.Gain(1.0),), EFFECTS),
                shape=((4, 4), SHAPE - {"scalar"}),
                dtype=(jnp.dtype("float32"), ANY - NONE),
                key=a_key,
            ),
            _line(
                "optics.effects.Crosstalk",
                effects.Crosstalk,
                kernel=(effects.SuperGaussian(), PART),
                subpixels=count,
                neighbours=count,
                response=(effects.PhaseLUT(), PART - NONE),
                keep_subpixels=flag,
                nodes=count,
            ),
            _line(
                "optics.effects.Exponential",
                effects.Exponential,
                reach=(0.1, positive(VALUES)),
                power=(1.0, positive(VALUES)),
            ),
            _line(
                "optics.effects.SuperGaussian",
                effects.SuperGaussian,
                width=(2.0, positive(NUMBER)),
                order=(1.2, positive(NUMBER)),
            ),
            _line(
                "optics.effects.DeadSpace",
                effects.DeadSpace,
                fill=(0.9, share(VALUES)),
                reflectance=(0.5, VALUES + BELOW_ZERO + ABOVE_ONE),
                phase=(0.1, VALUES),
                apply_fill_factor=flag,
            ),
            _line(
                "optics.effects.Drift",
                effects.Drift,
                phase=(np.zeros((2, 4, 4)), AMPLITUDES - {"negative"} + {"moment": np.zeros((1, 4, 4))}),
                duration=(60.0, positive(NUMBER)),
                time=(1.0, NUMBER + BELOW_ZERO + {"late": 61.0}),
                fading=(0.0, VALUES),
            ),
            _line(
                "optics.effects.draw_drift",
                effects.draw_drift,
                **unit,
                diffusion=width,
                duration=(60.0, positive(NUMBER)),
                moments=(3, COUNT),
                relaxation=(10.0, positive(NUMBER) - {"infinite"}),
            ),
            _line("optics.effects.Extinction", effects.Extinction, ratio=(1e3, positive(VALUES))),
            _line(
                "optics.effects.Flicker",
                effects.Flicker,
                sigma=level,
                common=(True, FLAG),
                cycles=(1.0, NUMBER + BELOW_ZERO),
                proportional=flag,
            ),
            _line(
                "optics.effects.LaserNoise",
                effects.LaserNoise,
                rin=width,
                pointing=(0.1, NUMBER + BELOW_ZERO - NONE),
                monitor=(1e6, NUMBER + BELOW_ZERO),
            ),
            _line("optics.effects.BalancedShot", effects.BalancedShot, photons=(1e4, positive(VALUES))),
            _line("optics.effects.Read", effects.Read, sigma=level),
            _line("optics.effects.Shot", effects.Shot, photons=(1e4, positive(VALUES)), exact=flag),
            _line(
                "optics.effects.PhaseLUT",
                effects.PhaseLUT,
                table=([0.0, 3.0, 6.0], VALUES - NONE + {"one": [1.0], "matrix": np.ones((2, 2))}),
                a2=(0.0, VALUES),
                a3=(0.0, VALUES),
                stretch=(0.0, VALUES + {"negative": -1.5}),
                gain=(1.0, positive(VALUES)),
            ),
            _line(
                "optics.effects.PhaseQuantize",
                effects.PhaseQuantize,
                bits=(8, COUNT),
                pixels=(4, positive(NUMBER)),
            ),
            _line("optics.effects.Quantize", effects.Quantize, bits=(8, COUNT), signed=flag),
            _line(
                "optics.effects.QuantizationNoise",
                effects.QuantizationNoise,
                bits=(4.5, positive(NUMBER)),
                signed=flag,
            ),
            _line("optics.effects.soften_bits", effects.soften_bits, chain=((), EFFECTS)),
            _line("optics.effects.Bias", effects.Bias, level=any_level),
            _line("optics.effects.Dark", effects.Dark, level=level),
            _line("optics.effects.Gain", effects.Gain, gain=any_level),
            _line("optics.effects.Saturate", effects.Saturate, level=(1.0, positive(VALUES))),
            _line(
                "optics.effects.StuckPixels",
                effects.StuckPixels,
                mask=(np.zeros((4, 4)), AMPLITUDES + {"above one": 2 * np.ones((4, 4))}),
                stuck=any_level,
            ),
            _line(
                "optics.effects.draw_dsnu",
                effects.draw_dsnu,
                **unit,
                sigma=width,
                row=width,
                column=width,
                hot=(0.1, NUMBER + BELOW_ZERO + ABOVE_ONE),
                heat=width,
            ),
            _line(
                "optics.effects.draw_lut_error",
                effects.draw_lut_error,
                key=(key, KEY),
                rms=width,
                shape=((4,), SHAPE - {"scalar"}),
            ),
            _line(
                "optics.effects.draw_prnu", effects.draw_prnu, **unit, sigma=width, row=width, column=width
            ),
            _line(
                "optics.effects.draw_read_noise",
                effects.draw_read_noise,
                **unit,
                median=(1.0, positive(NUMBER)),
                rms=(2.0, positive(NUMBER)),
            ),
            _line(
                "optics.effects.draw_stuck",
                effects.draw_stuck,
                **unit,
                share=(0.1, NUMBER + BELOW_ZERO + ABOVE_ONE),
            ),
        ]

    def calls_of_mappings():
        sequence = (jnp.ones(4), LINES)
        boundary, convolution = ("circular", CHOICE), (optics.convolve, FUNCTION)
        on = {"device": a_device, "key": a_key}
        pixels = ((4, 4), SIZE - {"huge"})
        planned = {"x_shape": ((4, 4), SHAPE), "w_shape": ((4, 4), SHAPE), "shape": pixels}
        lines = {"x_shape": ((4,), SHAPE), "w_shape": ((4,), SHAPE), "shape": pixels}
        planes = {"x": field, "w": (plane, PLANES)}
        sequences = {"x": sequence, "w": sequence}
        on_line = {"device": (optics.FourierProcessor(optics.dft((1, 4))), DEVICE - NONE), "key": a_key}
        end = {"boundary": boundary, "convolve": convolution}
        plan = (None, PART - NONE)
        counts = {"bits": (4, COUNT), "slices": (2, COUNT)}
        return [
            _line("optics.mapping.bit_slices", mapping.bit_slices, a=field, **counts),
            _line(
                "optics.mapping.convolve_sliced",
                mapping.convolve_sliced,
                **planes,
                **on,
                **counts,
                convolve=convolution,
            ),
            _line(
                "optics.mapping.plan_sliced",
                mapping.plan_sliced,
                **planned,
                slices=(2, COUNT),
                transforms=flag,
            ),
            _line(
                "optics.mapping.convolve_coprime",
                mapping.convolve_coprime,
                **sequences,
                **on_line,
                convolve=convolution,
            ),
            _line(
                "optics.mapping.plan_coprime",
                mapping.plan_coprime,
                **{**lines, "shape": ((1, 4), SIZE - {"huge"})},
            ),
            _line(
                "optics.mapping.convolve_negacyclic",
                mapping.convolve_negacyclic,
                **planes,
                **on,
                axes=((-2, -1), SIZE - {"huge", "vast"}),
                convolve=convolution,
            ),
            _line("optics.mapping.convolve_packed", mapping.convolve_packed, **planes, **on, **end),
            _line("optics.mapping.convolve_rows", mapping.convolve_rows, **sequences, **on, **end),
            _line("optics.mapping.plan_packed", mapping.plan_packed, **planned, boundary=boundary),
            _line("optics.mapping.plan_rows", mapping.plan_rows, **lines, boundary=boundary),
            _line("optics.mapping.convolve_1d", mapping.convolve_1d, **sequences, **on, **end, plan=plan),
            _line(
                "optics.mapping.plan_1d",
                mapping.plan_1d,
                **lines,
                boundary=boundary,
                layout=("fold", CHOICE - NONE),
            ),
            _line(
                "optics.mapping.convolve_partitioned",
                mapping.convolve_partitioned,
                **{**planes, "w": (plane, PLANES)},
                **on,
                boundary=("full", CHOICE),
                plan=plan,
                transform=(optics.transform, FUNCTION),
            ),
            _line(
                "optics.mapping.plan_partitioned",
                mapping.plan_partitioned,
                **planned,
                boundary=("full", CHOICE),
            ),
            _line("optics.mapping.convolve_tiled", mapping.convolve_tiled, **planes, **on, **end, plan=plan),
            _line(
                "optics.mapping.plan_tiles",
                mapping.plan_tiles,
                **planned,
                boundary=boundary,
                block=(2, SIZE + COUNT - NONE),
                method=("add", CHOICE - NONE),
            ),
        ]

    def calls_of_retrievals():
        amplitude = (np.ones((4, 4)), AMPLITUDES)
        mask = (support, AMPLITUDES + {"numbers": np.ones((4, 4)), "closed": np.zeros((4, 4), bool)})
        iterations, polish = (2, COUNT), (2, COUNT - {"zero"})
        start = {
            "key": a_key,
            "restarts": (1, COUNT),
            "forward": (retrieve.centred_dft, FUNCTION - choose_none),
        }
        one = {
            "amplitude": amplitude,
            "support": mask,
            "iterations": iterations,
            **start,
            "nonnegative": flag,
        }
        two = {
            "source_amplitude": amplitude,
            "target_amplitude": amplitude,
            "iterations": iterations,
            **start,
        }
        spots = (np.eye(4), AMPLITUDES)
        complex_numbers = (plane, PLANES)
        begin = {"amplitude": amplitude, "support": mask}
        begin["start"] = (np.ones((4, 4)), PLANES - NONE + {"complex": np.full((4, 4), 1j)})
        phases = {"source_amplitude": amplitude, "target_amplitude": (np.eye(4), AMPLITUDES)}
        phases["start"] = (np.zeros((4, 4)), AMPLITUDES - {"none", "negative"})
        with_start = [
            _line(f"optics.retrieve.{function.__name__}(start)", function, **arguments)
            for arguments, functions in (
                (begin, (retrieve.hio, retrieve.raar, retrieve.error_reduction, retrieve.amplitude_flow)),
                (phases, (retrieve.gerchberg_saxton, retrieve.weighted_gerchberg_saxton)),
            )
            for function in functions
        ]
        return [
            *with_start,
            _line(
                "optics.retrieve.align", retrieve.align, retrieved=complex_numbers, reference=complex_numbers
            ),
            _line(
                "optics.retrieve.aligned_error",
                retrieve.aligned_error,
                retrieved=complex_numbers,
                reference=complex_numbers,
            ),
            _line(
                "optics.retrieve.amplitude_flow",
                retrieve.amplitude_flow,
                **one,
                rate=(1.0, positive(NUMBER) + {"above two": 2.5}),
                momentum=(0.9, NUMBER + BELOW_ZERO + ABOVE_ONE),
            ),
            _line(
                "optics.retrieve.coded_diffraction",
                retrieve.coded_diffraction,
                amplitudes=(
                    np.ones((3, 4, 4)),
                    PLANES + {"plane": np.ones((4, 4)), "negative": -np.ones((3, 4, 4))},
                ),
                masks=(np.ones((3, 4, 4)), MASKS + {"two": np.ones((2, 4, 4))}),
                reference=(1.0, ANY + {"nan": math.nan, "infinite": math.inf, "vector": [1.0, 1.0]}),
                iterations=iterations,
                floor=(0.1, positive(NUMBER)),
            ),
            _line("optics.retrieve.error_reduction", retrieve.error_reduction, **one),
            _line("optics.retrieve.gerchberg_saxton", retrieve.gerchberg_saxton, **two),
            _line(
                "optics.retrieve.hio",
                retrieve.hio,
                **one,
                beta=(0.9, positive(NUMBER) + {"above two": 2.5}),
                polish=polish,
            ),
            _line(
                "optics.retrieve.implicit_gradient",
                retrieve.implicit_gradient,
                f=(retrieve.hio, FUNCTION),
                steps=(10, COUNT),
                damping=(0.0, NUMBER + BELOW_ZERO),
            ),
            _line(
                "optics.retrieve.raar",
                retrieve.raar,
                **one,
                beta=(0.9, positive(NUMBER) + ABOVE_ONE),
                polish=polish,
            ),
            _line(
                "optics.retrieve.efficiency",
                retrieve.efficiency,
                field=complex_numbers,
                target_amplitude=spots,
            ),
            _line(
                "optics.retrieve.uniformity",
                retrieve.uniformity,
                field=complex_numbers,
                target_amplitude=spots,
            ),
            _line("optics.retrieve.centred_dft", retrieve.centred_dft, a=complex_numbers),
            _line(
                "optics.retrieve.weighted_gerchberg_saxton",
                retrieve.weighted_gerchberg_saxton,
                **{**two, "target_amplitude": spots},
                exponent=(1.0, share(NUMBER)),
                fixed_after=(1, COUNT - NONE),
            ),
        ]

    def calls_of_records():
        folder = Path(tempfile.mkdtemp())
        np.save(folder / "frames.npy", np.ones((1, 4, 4), np.uint16))
        (folder / "table.csv").write_text("0,0.0\n15,6.0")
        (folder / "driver.lut").write_text("0 700\n15 4000")
        (folder / "zernikes.txt").write_text("# Noll\n4 60.0\n")
        imageio.v3.imwrite(folder / "correction.bmp", np.arange(12, dtype=np.uint8).reshape(3, 4))
        (folder / "mirror.dat").write_bytes(metropro(np.arange(12).reshape(3, 4)))
        counts = (
            np.arange(16, dtype=np.uint16).reshape(1, 4, 4),
            PLANES + {"negative": -np.ones((1, 4, 4), int)},
        )
        pattern = (np.ones((4, 4)), PLANES + FINITE + {"complex": np.full((4, 4), 1j)})
        write_slmsuite(folder / "fourier.h5")
        camera = optics.records.record_frames(
            lambda drive, full_scale: np.abs(drive)[:, None], folder / "run.h5"
        )
        camera(np.ones((2, 4, 4)), np.ones((2, 1, 1)))

        def record_frames(forward, path, settings):
            # A recording begins in a new file.
            (folder / "new.h5").unlink(missing_ok=True)
            return optics.records.record_frames(forward, path, settings)

        return [
            _line(
                "optics.records.read_slmsuite",
                optics.records.read_slmsuite,
                path=(folder / "fourier.h5", TEXT - {"long"}),
                max_bytes=(2**20, COUNT - {"vast"}),
            ),
            _line(
                "optics.records.record_frames",
                record_frames,
                forward=(abs, FUNCTION),
                path=(folder / "new.h5", TEXT - {"text", "long", "path"}),
                settings=(
                    {"power": 1.0},
                    ANY - NONE - {"dictionary"} + {"nan": {"power": math.nan}, "number": 3},
                ),
            ),
            _line(
                "optics.records.read_recording",
                optics.records.read_recording,
                path=(folder / "run.h5", TEXT - {"long"}),
                max_bytes=(2**20, COUNT - {"vast"}),
            ),
            _line(
                "optics.records.replay_frames",
                optics.records.replay_frames,
                path=(folder / "run.h5", TEXT - {"long"}),
                tolerance=(1e-5, NUMBER + BELOW_ZERO),
                max_bytes=(2**20, COUNT - {"vast"}),
            ),
            _line(
                "optics.records.panel_phase",
                optics.records.panel_phase,
                phase=pattern,
                panel=((8, 8), SIZE - {"huge"}),
                group=(2, COUNT),
            ),
            _line(
                "optics.records.as_levels",
                optics.records.as_levels,
                phase=pattern,
                levels=(256, COUNT),
                table=(None, ANY - NONE + {"number": 3}),
                full_turn=(None, positive(NUMBER - NONE)),
                falling=(False, FLAG),
            ),
            _line(
                "optics.records.write_bitmap",
                optics.records.write_bitmap,
                path=(folder / "pattern.bmp", TEXT),
                levels=(np.ones((4, 4), int), LINES + FINITE + {"floats": np.ones((4, 4))}),
                panel=((4, 4), SIZE - NONE),
            ),
            _line(
                "optics.records.write_phase",
                optics.records.write_phase,
                path=(folder / "pattern.h5", TEXT),
                phase=pattern,
                panel=((8, 8), SIZE - {"huge"}),
                group=(2, COUNT),
                bits=(8, COUNT),
            ),
            _line(
                "optics.records.write_slmsuite",
                optics.records.write_slmsuite,
                path=(folder / "written.h5", TEXT),
                calibration=(optics.records.read_slmsuite(folder / "fourier.h5"), PART),
                kind=(None, CHOICE - NONE),
            ),
            _line(
                "optics.records.write_device",
                optics.records.write_device,
                path=(folder / "device.h5", TEXT),
                device=(optics.dft(2), PART),
            ),
            _line(
                "optics.records.read_device",
                optics.records.read_device,
                path=(optics.records.write_device(folder / "read.h5", optics.dft(2)), TEXT - {"long"}),
                device=(optics.dft(2), PART),
                max_bytes=(2**20, COUNT - {"vast"}),
            ),
            _line(
                "optics.records.as_frames",
                optics.records.as_frames,
                counts=counts,
                bits=(12, COUNT - NONE),
                aligned=("low", CHOICE),
            ),
            _line(
                "optics.records.check_frames",
                optics.records.check_frames,
                frames=(np.linspace(0, 0.9, 16).reshape(1, 4, 4), AMPLITUDES - {"negative"}),
            ),
            _line(
                "optics.records.read_frames",
                optics.records.read_frames,
                path=(folder / "frames.npy", TEXT - {"long"}),
                bits=(12, COUNT - NONE),
                dataset=(None, TEXT - {"none", "text", "path", "long"}),
                aligned=("low", CHOICE),
                max_bytes=(2**20, COUNT - {"vast"}),
            ),
            _line(
                "optics.records.fit_zernikes",
                optics.records.fit_zernikes,
                opd=(np.zeros((9, 9)), AMPLITUDES - {"nan", "negative"}),
                pitch=(1e-4, positive(NUMBER)),
                wavelength=(633e-9, positive(NUMBER)),
                count=(3, COUNT),
                radius=(4e-4, positive(NUMBER) - NONE),
                centre=((0.0, 0.0), PAIR - NONE),
            ),
            _line(
                "optics.records.read_correction",
                optics.records.read_correction,
                path=(folder / "correction.bmp", TEXT - {"long"}),
                wavelength=(633e-9, positive(NUMBER) - NONE),
                shape=((3, 4), SIZE - NONE),
                full_turn=(256.0, positive(NUMBER)),
            ),
            _line(
                "optics.records.read_wavefront",
                optics.records.read_wavefront,
                path=(folder / "mirror.dat", TEXT - {"long"}),
            ),
            _line(
                "optics.records.read_zernikes",
                optics.records.read_zernikes,
                path=(folder / "zernikes.txt", TEXT - {"long"}),
                index=("noll", CHOICE - NONE),
                unit=("nm", CHOICE),
                wavelength=(633e-9, positive(NUMBER)),
            ),
            _line(
                "optics.records.read_table(driver)",
                optics.records.read_table,
                path=(folder / "driver.lut", TEXT - {"long"}),
                levels=(16, COUNT),
                unit=("level", CHOICE),
                dac_levels=(4096, COUNT - NONE),
            ),
            _line(
                "optics.records.read_table",
                optics.records.read_table,
                path=(folder / "table.csv", TEXT - {"long"}),
                levels=(16, COUNT),
                unit=("rad", CHOICE),
                full_turn=(1.0, positive(NUMBER) - NONE),
            ),
            _line(
                "optics.Recording",
                optics.Recording,
                drive=(np.array(exposures.drive), PLANES),
                full_scale=(np.array(exposures.full_scale), AMPLITUDES - {"number"}),
                frames=(frames, AMPLITUDES - {"negative"}),
                frames_per_exposure=(4, COUNT),
            ),
            _line(
                "optics.fit_twin",
                optics.fit_twin,
                device=(bench, DEVICE),
                recording=(recording, PART),
                where=(lambda d: d.slm[0].gain, FUNCTION),
                steps=(50, COUNT),
                map_pixels=(None, SIZE + COUNT - NONE),
            ),
            _line(
                "optics.twin.inverse_table",
                twin.inverse_table,
                table=(effects.PhaseLUT([0.0, 3.0, 6.2]), PART),
                levels=(16, COUNT),
                beyond=("nearest", CHOICE),
            ),
            _line(
                "optics.twin.standard_errors",
                twin.standard_errors,
                slopes=(
                    np.eye(3),
                    ANY + {"number": 1.0, "vector": np.ones(3), "nan": np.full((3, 3), np.nan)},
                ),
            ),
        ]

    def calls_of_numbers():
        per = (1e-12, positive(NUMBER))
        lists = ([1.0, 2.0], ANY + {"times": np.zeros(2, "datetime64[s]")})
        name = ("engine11", TEXT)
        return [
            _line(
                "optics.accounting.break_even_pixels",
                accounting.break_even_pixels,
                costs=("integrated", TEXT),
                per_flop=per,
                counts=(accounting.Counts(1, 2, 3), PART),
                pixels=(1, positive(NUMBER)),
                transforms=(1, positive(NUMBER)),
                real=flag,
            ),
            _line(
                "optics.accounting.break_even_taps",
                accounting.break_even_taps,
                costs=("integrated", TEXT),
                per_mac=per,
                pixels=(1, positive(NUMBER) - {"infinite"}),
            ),
            _line(
                "optics.accounting.fft_flops", accounting.fft_flops, pixels=(4, positive(NUMBER)), real=flag
            ),
            _line(
                "optics.accounting.hardware",
                accounting.hardware,
                name=("integrated", TEXT),
                converters=("LightCode", TEXT - NONE),
                dac_energy=(1e-12, VALUES + BELOW_ZERO),
            ),
            _line(
                "optics.accounting.count",
                accounting.count,
                call=(lambda device, key: optics.convolve(plane, plane, device, key), FUNCTION),
                device=(device, DEVICE),
            ),
            _line(
                "optics.accounting.price",
                accounting.price,
                counts=(accounting.Counts(1, 2, 3), PART),
                costs=("integrated", TEXT),
            ),
            _line(
                "optics.accounting.energy",
                accounting.energy,
                counts=(accounting.Counts(1, 2, 3), PART),
                costs=("integrated", TEXT),
                dac_bits=(4.5, positive(NUMBER)),
                adc_bits=(4.5, positive(NUMBER)),
                laser=(1.0, positive(NUMBER)),
                oscillator=(1.0, positive(NUMBER)),
            ),
            _line(
                "optics.accounting.mean_light",
                accounting.mean_light,
                device=(device, DEVICE),
                key=(jax.random.key(0), KEY),
            ),
            _line(
                "optics.metrics.relative_error",
                metrics.relative_error,
                result=lists,
                exact=lists,
                axes=((0,), SIZE - {"none", "huge", "empty"}),
            ),
            _line("optics.metrics.best_factor", metrics.best_factor, result=lists, exact=lists),
            _line("optics.metrics.effective_bits", metrics.effective_bits, error=(0.1, positive(NUMBER))),
            _line("optics.presets.describe", presets.describe, name=name),
            _line("optics.presets.hardware", presets.hardware, name=name),
            _line(
                "optics.presets.load",
                presets.load,
                name=("ideal", TEXT),
                unit=a_key,
                level=("compiled", CHOICE),
                folder=(None, TEXT - NONE - {"text", "path", "long"}),
                pixels=(4, SIZE + COUNT),
            ),
        ]

    return [
        *calls_of_waves(),
        *calls_of_transfers(),
        *calls_of_devices(),
        *calls_of_measurements(),
        *calls_of_encoders(),
        *calls_of_effects(),
        *_polarisation_lines(),
        *_light_lines(),
        *_mode_lines(),
        *calls_of_mappings(),
        *calls_of_retrievals(),
        *calls_of_records(),
        *calls_of_numbers(),
    ]


def _state_lines(x: tuple[Any, Any], on: dict[str, Any]) -> list[Call]:
    """Of causal layers that go on token by token: `start` and `extend`."""
    layers = nets.layers
    causal = {
        "nets.LinearSelfAttention": layers.LinearSelfAttention(9, 3, causal=True, rngs=nnx.Rngs(0)),
        "nets.ConvSelfAttention": layers.ConvSelfAttention((3, 3), 2, causal=True, rngs=nnx.Rngs(0)),
        "nets.LambdaLayer": layers.LambdaLayer(9, 3, 2, 3, "causal", normalization="layer", rngs=nnx.Rngs(0)),
        "nets.layers.LongConvolution": layers.LongConvolution(9, 3, rngs=nnx.Rngs(0)),
        "nets.layers.TokenMean": layers.TokenMean(9, causal=True),
    }
    lines = []
    for path, layer in causal.items():
        lines += [
            _line(f"{path}().start", layer.start, batch=(1, COUNT), length=(8, COUNT)),
            _line(f"{path}().extend", layer.extend, x=x, state=(layer.start(1, 8), ANY), **on),
        ]
    return lines


def _layer_calls() -> list[Call]:
    from nets import layers, models

    device, key = optics.FourierProcessor(optics.dft(3)), jax.random.key(0)
    rngs = (nnx.Rngs(0), RNGS)
    width, heads, count = (9, COUNT), (3, COUNT), (2, COUNT)
    plane = ((3, 3), SIZE - {"one", "bool"})
    taps = (2, SIZE + COUNT - NONE)
    tokens = jnp.ones((1, 4, 9))
    x = (
        tokens,
        PLANES - {"vector"} + {"vector": jnp.ones(9), "complex": tokens + 0j, "wider": jnp.ones((1, 4, 8))},
    )
    gradient = ("ideal", GRADIENT)
    on = {"device": (device, DEVICE - NONE), "key": (key, KEY - NONE)}
    unused = {"device": (device, DEVICE - NONE), "key": (key, KEY - NONE)}
    mask_kind = ANY - NONE + {"number": 1.0, "vector": np.ones(4, bool), "longer": np.ones((1, 5), bool)}
    mask = (jnp.ones((1, 4), bool), mask_kind + {"numbers": np.ones((1, 4))})
    flag, rate = (False, FLAG), (0.1, NUMBER + BELOW_ZERO + {"one": 1.0})
    dtype = (jnp.float32, ANY - NONE)
    words = jnp.ones((1, 4), jnp.int32)
    token_kind = (
        PLANES
        - {"vector"}
        + {
            "vector": jnp.ones(4, jnp.int32),
            "floats": jnp.ones((1, 4)),
            "negative": -jnp.ones((1, 4), jnp.int32),
            "beyond the vocabulary": jnp.full((1, 4), 50),
            "too long": jnp.ones((1, 9), jnp.int32),
        }
    )
    images = (
        jnp.ones((2, 8, 8)),
        PLANES + {"complex": jnp.full((2, 8, 8), 1j), "larger": jnp.ones((2, 9, 8))},
    )
    image = ((8, 8), SIZE)

    products = ("device", CHOICE)
    multiplier = optics.CirculantMultiplier(device)
    multiply = {"device": (multiplier, DEVICE - NONE), "key": (key, KEY - NONE)}
    linear = layers.LinearSelfAttention(9, 3, rngs=nnx.Rngs(0))
    optical_linear = layers.LinearSelfAttention(9, 3, products="device", rngs=nnx.Rngs(0))
    conv = layers.ConvSelfAttention((3, 3), 2, rngs=nnx.Rngs(0))
    lambdas = layers.LambdaLayer(9, 3, 2, 3, rngs=nnx.Rngs(0))
    image_lambdas = layers.LambdaConv2d(9, 3, 2, 3, rngs=nnx.Rngs(0))
    embedding = layers.TokenEmbedding(10, 8, 9, rngs=nnx.Rngs(0))
    block = models.Block(conv, rngs=nnx.Rngs(0))
    block.eval()
    classifier = models.Classifier(embedding, [block], 2, rngs=nnx.Rngs(0))
    causal = nets.Block(layers.ConvSelfAttention((3, 3), 2, causal=True, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0))
    language_model = models.LanguageModel(embedding, [causal], rngs=nnx.Rngs(0))
    language_model.eval()
    classifier.eval()
    vit = models.ConvViT((8, 8), 10, 4, (3, 3), 1, 2, rngs=nnx.Rngs(0))
    resnet = models.LambdaResNet((8, 8), 10, (8, 9), 1, 3, 2, rngs=nnx.Rngs(0))
    pixels = jnp.ones((1, 4, 4, 9))
    network = nnx.Sequential(nnx.Conv(1, 2, (3, 3), rngs=nnx.Rngs(0)))
    texts = np.ones((3, 4), np.int32)

    return [
        _line(
            "nets.LinearSelfAttention",
            nets.LinearSelfAttention,
            features=width,
            heads=heads,
            kind=("canonical", CHOICE),
            causal=flag,
            products=products,
            gradient=gradient,
            rngs=rngs,
        ),
        _line("nets.LinearSelfAttention()", linear, x=x, **unused, mask=mask),
        _line("nets.LinearSelfAttention(products)()", optical_linear, x=x, **multiply, mask=mask),
        _line(
            "nets.ConvSelfAttention",
            nets.ConvSelfAttention,
            shape=plane,
            heads=heads,
            kernel=taps,
            spectral=flag,
            convolve=(optics.convolve, FUNCTION),
            gradient=gradient,
            causal=flag,
            products=products,
            rngs=rngs,
        ),
        _line("nets.ConvSelfAttention()", conv, x=x, **on, mask=mask),
        _line("nets.ConvSelfAttention().attention_map", conv.attention_map, x=x, **on, mask=mask),
        _line(
            "nets.LambdaLayer",
            nets.LambdaLayer,
            features=width,
            heads=heads,
            key_depth=count,
            scope=count,
            boundary=("zero", CHOICE),
            intra_depth=count,
            normalization=("batch", CHOICE - NONE),
            method=("fft", CHOICE),
            gradient=gradient,
            rngs=rngs,
        ),
        _line("nets.LambdaLayer()", lambdas, x=x, **on, mask=mask),
        _line(
            "nets.LambdaConv2d",
            nets.LambdaConv2d,
            features=width,
            heads=heads,
            key_depth=count,
            scope=(2, SIZE + COUNT),
            boundary=("zero", CHOICE),
            intra_depth=count,
            normalization=("batch", CHOICE - NONE),
            method=("fft", CHOICE),
            gradient=gradient,
            rngs=rngs,
        ),
        _line("nets.LambdaConv2d()", image_lambdas, x=(pixels, PLANES + {"complex": pixels + 0j}), **on),
        _line(
            "nets.FourierMixing",
            nets.FourierMixing,
            features=width,
            shape=((3, 3), SIZE - {"none", "one"}),
            gradient=gradient,
        ),
        _line("nets.FourierMixing()", layers.FourierMixing(9, (3, 3)), x=x, **on, mask=mask),
        _line(
            "nets.layers.LongConvolution",
            layers.LongConvolution,
            features=width,
            scope=count,
            boundary=("causal", CHOICE),
            gradient=gradient,
            rngs=rngs,
        ),
        _line(
            "nets.layers.LongConvolution()",
            layers.LongConvolution(9, 3, rngs=nnx.Rngs(0)),
            x=x,
            **on,
            mask=mask,
        ),
        _line("nets.layers.TokenMean", layers.TokenMean, features=width, causal=flag),
        _line("nets.layers.TokenMean()", layers.TokenMean(9), x=x, **unused, mask=mask),
        *_state_lines(x, on),
        _line(
            "nets.FeedForward",
            nets.FeedForward,
            features=width,
            hidden=(4, COUNT - NONE),
            dtype=dtype,
            products=("electronic", CHOICE),
            gradient=gradient,
            rngs=rngs,
        ),
        _line("nets.FeedForward()", layers.FeedForward(9, rngs=nnx.Rngs(0)), x=x, **unused),
        _line(
            "nets.ConvFeedForward",
            nets.ConvFeedForward,
            shape=plane,
            maps=count,
            kernel=taps,
            gradient=gradient,
            rngs=rngs,
        ),
        _line("nets.ConvFeedForward()", layers.ConvFeedForward((3, 3), 2, rngs=nnx.Rngs(0)), x=x, **on),
        _line(
            "nets.OpticalConv",
            nets.OpticalConv,
            in_features=count,
            out_features=count,
            kernel_size=(3, SIZE + COUNT - {"one"}),
            strides=(1, SIZE + COUNT - {"one", "huge", "vast"}),
            padding=("SAME", CHOICE - {"number"}),
            gradient=gradient,
            rngs=rngs,
        ),
        _line(
            "nets.OpticalConv()",
            layers.OpticalConv(9, 2, (3, 3), rngs=nnx.Rngs(0)),
            x=(pixels, PLANES),
            **on,
        ),
        _line(
            "nets.OpticalDense",
            nets.OpticalDense,
            in_features=count,
            out_features=count,
            gradient=gradient,
            rngs=rngs,
        ),
        _line(
            "nets.OpticalDense()",
            layers.OpticalDense(9, 2, rngs=nnx.Rngs(0)),
            x=(pixels, PLANES),
            **multiply,
        ),
        _line(
            "nets.ImageEmbedding",
            nets.ImageEmbedding,
            image=image,
            patch=(2, SIZE + COUNT),
            features=width,
            channels=count,
            dtype=dtype,
            rngs=rngs,
        ),
        _line("nets.ImageEmbedding()", layers.ImageEmbedding((8, 8), 4, 9, rngs=nnx.Rngs(0)), x=images),
        _line(
            "nets.TokenEmbedding",
            nets.TokenEmbedding,
            vocabulary=(10, COUNT),
            length=(8, COUNT),
            features=width,
            bigrams=(16, COUNT - NONE),
            bigram_width=count,
            bigram_weights=(
                np.ones(16, np.float32),
                PLANES - {"none", "vector"} + {"nan": np.full(16, np.nan), "other": np.ones(3)},
            ),
            rngs=rngs,
        ),
        _line("nets.TokenEmbedding()", embedding, x=(words, token_kind)),
        _line(
            "nets.PatchEmbedding",
            nets.PatchEmbedding,
            inputs=count,
            length=count,
            features=width,
            dtype=dtype,
            rngs=rngs,
        ),
        _line("nets.PatchEmbedding()", layers.PatchEmbedding(9, 8, 9, rngs=nnx.Rngs(0)), x=x),
        _line(
            "nets.Block",
            nets.Block,
            attention=(conv, PART),
            hidden=(4, COUNT - NONE),
            dropout=rate,
            norm=("pre", CHOICE),
            dtype=dtype,
            layer_scale=(0.1, positive(NUMBER) - NONE),
            products=("electronic", CHOICE),
            gradient=gradient,
            rngs=rngs,
        ),
        _line(
            "nets.Block(feed_forward)",
            nets.Block,
            attention=(conv, PART),
            feed_forward=(layers.FeedForward(9, rngs=nnx.Rngs(0)), PART - NONE),
            rngs=rngs,
        ),
        _line("nets.Block()", block, x=x, **on, mask=mask),
        _line(
            "nets.Classifier",
            nets.Classifier,
            embedding=(embedding, PART),
            blocks=([block], PART + {"empty": []}),
            classes=count,
            dropout=rate,
            token_dropout=rate,
            final_norm=(True, FLAG),
            rngs=rngs,
        ),
        _line(
            "nets.Classifier(features)",
            nets.Classifier,
            embedding=(embedding, PART),
            blocks=([], PART),
            classes=count,
            features=width,
            rngs=rngs,
        ),
        _line("nets.Classifier()", classifier, x=(words, token_kind), **on),
        _line(
            "nets.LanguageModel",
            nets.LanguageModel,
            embedding=(embedding, PART),
            blocks=([block], PART + {"empty": []}),
            dropout=rate,
            rngs=rngs,
        ),
        _line("nets.LanguageModel()", language_model, x=(words, token_kind), **on),
        _line("nets.LanguageModel().start", language_model.start, batch=count),
        _line(
            "nets.LanguageModel().extend",
            language_model.extend,
            x=(words, token_kind),
            state=(language_model.start(1), ANY),
            **on,
        ),
        _line(
            "nets.ConvViT",
            nets.ConvViT,
            image=image,
            classes=count,
            patch=(4, SIZE + COUNT),
            shape=plane,
            depth=(1, COUNT),
            heads=heads,
            kernel=taps,
            spectral=flag,
            maps=(2, COUNT - NONE),
            channels=(1, COUNT),
            dropout=rate,
            norm=("pre", CHOICE),
            products=products,
            gradient=gradient,
            rngs=rngs,
        ),
        _line("nets.ConvViT()", vit, x=images, **on),
        _line(
            "nets.LambdaResNet",
            nets.LambdaResNet,
            image=image,
            classes=count,
            stem=((4, 9), SIZE - {"one", "three", "vast", "huge"}),
            depth=(1, COUNT),
            heads=heads,
            key_depth=count,
            scope=(3, SIZE + COUNT),
            boundary=("zero", CHOICE),
            intra_depth=count,
            channels=(1, COUNT),
            gradient=gradient,
            rngs=rngs,
        ),
        _line("nets.LambdaResNet()", resnet, x=images, **on),
        _line(
            "nets.convert",
            nets.convert,
            model=(network, PART),
            gradient=gradient,
            exclude=((), ANY - {"object"} + {"number": 3, "object": object()}),
        ),
        _line("nets.convert()", nets.convert(network), x=(jnp.ones((1, 4, 4, 1)), Kind()), **on),
        _line(
            "nets.layers.BigramEmbedding",
            layers.BigramEmbedding,
            count=(16, COUNT),
            features=width,
            width=count,
            weights=(
                np.ones(16, np.float32),
                PLANES - {"none", "vector"} + {"nan": np.full(16, np.nan), "other": np.ones(3)},
            ),
            rngs=rngs,
        ),
        _line(
            "nets.layers.BigramEmbedding()",
            layers.BigramEmbedding(16, 9, 2, rngs=nnx.Rngs(0)),
            x=(words, token_kind - {"beyond the vocabulary", "too long", "negative"}),
        ),
        _line(
            "nets.layers.hash_bigrams",
            layers.hash_bigrams,
            before=(texts, PLANES - {"number", "vector"} + {"floats": np.ones((3, 4))}),
            x=(texts, PLANES - {"number", "vector"} + {"floats": np.ones((3, 4))}),
            count=(16, COUNT),
        ),
        _line(
            "nets.layers.naive_bayes_ratios",
            layers.naive_bayes_ratios,
            rows=(texts, PLANES + {"floats": np.ones((3, 4))}),
            labels=(
                np.array([0, 1, 0]),
                PLANES - {"vector"} + {"other": np.zeros(2, int), "beyond": np.full(3, 2)},
            ),
            classes=count,
            count=(16, COUNT),
        ),
        _line("nets.layers.Dropout", layers.Dropout, rate=rate),
        _line("nets.layers.Dropout()", layers.Dropout(0.1), x=(tokens, ANY), key=(key, KEY)),
        _line("nets.layers.TokenDropout", layers.TokenDropout, rate=rate),
        _line(
            "nets.layers.TokenDropout()",
            layers.TokenDropout(0.1),
            x=(words, ANY + {"floats": tokens}),
            key=(key, KEY),
        ),
        _line("nets.layers.as_image_size", layers.as_image_size, image=image),
        _line(
            "nets.layers.as_images",
            layers.as_images,
            x=(jnp.ones((2, 8, 8)), images[1] - {"complex"}),
            image=image,
            channels=(1, COUNT),
        ),
        _line("nets.layers.freeze", layers.freeze, layer=(linear, PART)),
    ]
