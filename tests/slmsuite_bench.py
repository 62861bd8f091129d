"""slmsuite's simulated bench, and the public data set of frames recorded on it.

    python -m tests.slmsuite_bench [PATH]

makes `bench/results/slmsuite/frames.h5` again: exposures of random phases on a panel whose response,
wavefront and illumination slmsuite keeps to itself, seen by a camera that is turned and has noise. slmsuite
is a code of others, so that a fitted twin is checked against optics that this project did not write. The
file's attribute `settings` says how they were taken and, under `hidden`, what a fit must find.
"""

import logging
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

import optics
from optics import effects, wave
from optics.records import record_frames

DATA = Path(__file__).parents[1] / "bench/results/slmsuite/frames.h5"
PITCH, WAVELENGTH = 8.0, 0.633  # µm
# The response that the panel hides: too long a stroke, and not straight.
GAMMA = 1.1 * np.linspace(0, 1, 256) ** 1.15
# The phase that it gives for 2π k / 256, and for 2π.
TRUE_TABLE = 2 * np.pi * (GAMMA[-1] - np.append(GAMMA[::-1], 2 * GAMMA[0] - GAMMA[1]))
ASTIGMATISM = 2.3, 0.7  # rad at the edge of the panel, along x and y
# Of the recording.
SIDE, CAMERA, CENTRE = 16, (24, 26), (12, 13)  # pixels
NOISE = 0.003  # standard deviation of a picture, of full scale
DARK = 2e-5  # light of the dark, of full scale a second, so that noise is not cut off at a count of 0
DRIVES, REPEATS, UNSEEN = 30, 10, 10


class Plate(effects.Modulation):
    """Illumination and wavefront of a panel of 16×16 in a few numbers."""

    waist: jax.Array
    aberrations: jax.Array  # astigmatism, defocus, astigmatism, waves of unit RMS

    def __call__(self, value, key):
        y, x = jnp.meshgrid(*2 * [(jnp.arange(16) - 7.5) / 8], indexing="ij")
        radius = np.sqrt(2)
        phase = sum(
            c * wave.zernike_xy(j, x / radius, y / radius)
            for j, c in zip((5, 4, 6), self.aberrations, strict=True)
        )
        return value * jnp.exp(-(x**2 + y**2) / self.waist**2) * jnp.exp(2j * jnp.pi * phase)


def light_of(side):
    """What falls on the panel, hidden: amplitude and wavefront of each pixel."""
    x, y = np.meshgrid(*2 * [(np.arange(side) - (side - 1) / 2) / (side / 2)])
    return np.exp(-(x**2 + y**2) / 2) * np.exp(1j * (ASTIGMATISM[0] * x**2 + ASTIGMATISM[1] * y**2))


def make_bench(side, resolution, b, noise=0.0, dark=0.0):
    """A panel with hidden response, wavefront and illumination, and a camera turned by a quarter, a pixel of
    which is a sample of the discrete Fourier transform of the panel.
    """
    with warnings.catch_warnings():
        # It warns that there is no cupy.
        warnings.simplefilter("ignore")
        from slmsuite.hardware.cameras.simulated import GaussianDetectorNoise, SimulatedCamera
        from slmsuite.hardware.cameraslms import FourierSLM
        from slmsuite.hardware.slms.simulated import SimulatedSLM

        x, y = np.meshgrid(*2 * [(np.arange(side) - (side - 1) / 2) / (side / 2)])
        light = light_of(side)
        source = {
            "amplitude_sim": np.abs(light).astype(np.float32),
            "phase_sim": (ASTIGMATISM[0] * x**2 + ASTIGMATISM[1] * y**2).astype(np.float32),
        }
        slm = SimulatedSLM(
            (side, side), pitch_um=(PITCH, PITCH), wav_um=WAVELENGTH, gamma_sim=GAMMA, source=source
        )
        noise = GaussianDetectorNoise(dark, noise) if noise else None
        cam = SimulatedCamera(slm, resolution=resolution, pitch_um=(5, 5), bitdepth=12, noise=noise)
        # A little less than a sample, so that slmsuite does not compute a finer one.
        scale = side * PITCH / WAVELENGTH * (1 - 1e-9)
        M = np.array([[0.0, scale], [-scale, 0.0]])
        cam.set_affine(M, np.reshape(b, (2, 1)))
        bench = FourierSLM(cam, slm)
        bench.fourier_calibrate_analytic(M, np.reshape(b, (2, 1)))
    return SimpleNamespace(fs=bench, slm=slm, cam=cam, light=light, M=M, b=np.asarray(b, float))


def twin_of(side, *slm, **arguments):
    return optics.FourierProcessor(optics.dft(side), optics.Intensity(lambda a: a), slm, **arguments)


def believed_twin():
    """What an owner knows of the bench: an ideal panel, no wavefront, the noise of the camera."""
    return twin_of(
        SIDE,
        effects.PhaseQuantize(8),
        effects.PhaseLUT(np.linspace(0, 2 * np.pi, 33)),
        Plate(jnp.asarray(2.0), jnp.zeros(3)),
        camera=(effects.Gain(jnp.ones((SIDE, SIDE))), effects.Bias(0.0), effects.Read(NOISE)),
    )


def fit_to(recording, believed):
    """The twin whose table, light, gains and bias explain the frames best."""
    return optics.fit_twin(
        believed,
        recording,
        lambda d: (d.slm[1].table, d.slm[2].waist, d.slm[2].aberrations, d.camera[0].gain, d.camera[1].level),
        free=(np.arange(33) > 0, True, True, True, True),
    )


def drives(count, side, seed=0):
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, (count, 1, side, side))
    return jnp.asarray(np.exp(1j * phases), jnp.complex64)


def exposures(twin, drive, brightest=0.9):
    """Of one full scale, at which the twin's brightest pixel is `brightest`."""
    one = jnp.ones((len(drive), 1, 1, 1))
    full_scale = jnp.sqrt(jnp.max(twin.expose(optics.Exposure(drive, one, one[:, 0]))) / brightest)
    return optics.Exposure(drive, one * full_scale, one[:, 0])


def record(path):
    """Take the frames: random drives, some of them again, and others that a fit is tested on."""
    import h5py
    import slmsuite

    logging.disable(logging.WARNING)
    bench, believed = make_bench(SIDE, CAMERA, CENTRE, NOISE, DARK), believed_twin()
    np.random.seed(0)  # slmsuite's noise is drawn from it
    bench.cam.set_exposure(20.0)
    device = optics.External.from_slmsuite(bench.fs, believed)
    drive = drives(DRIVES, SIDE)
    drive = jnp.concatenate([drive, drive[:REPEATS], drives(UNSEEN, SIDE, seed=5)])
    settings = {
        **device.forward.settings,
        "order": {"drives": DRIVES, "repeats of the first": REPEATS, "drives to test a fit": UNSEEN},
        "noise": {
            "kind": "normal, of a picture",
            "dark_of_full_scale_per_second": DARK,
            "deviation_of_full_scale": NOISE,
        },
        "hidden": {
            "gamma": np.round(GAMMA, 8).tolist(),
            "gamma_meaning": "phase lag of each level in units of 2π; level 255 − k is asked for 2πk/256",
            "wavefront_rad": f"{ASTIGMATISM[0]} x² + {ASTIGMATISM[1]} y², x and y −1 to 1",
            "illumination": "exp(−(x² + y²)/2), amplitude, x and y −1 to 1 at the panel's edges",
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    recorder = optics.External(record_frames(device.forward, path, settings), believed)
    jax.block_until_ready(recorder.expose(exposures(believed, drive, 0.7)))
    attributes = {
        "source": f"slmsuite {slmsuite.__version__} (MIT licence), SimulatedSLM and SimulatedCamera, seeds 0",
        "licence": "Apache-2.0, as lensformer",
        "made_by": "python -m tests.slmsuite_bench",
    }
    with h5py.File(path, "r+") as file:
        file.attrs.update(attributes)


if __name__ == "__main__":
    record(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
