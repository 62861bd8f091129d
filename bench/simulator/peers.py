"""The 4f chain in other libraries, in their own idioms, after checking their fields in double precision."""

import functools
import importlib
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import optics
from bench.output import Rows
from bench.simulator import four_f_chain as chain
from bench.simulator.four_f_chain import DX, WAVELENGTH, Work
from bench.simulator.timing import time_ratio
from optics import AbstractDevice

LARGEST_FIELD_ERROR = (
    0.2  # of its maximum; beyond it a field is another one, not the same with rounding errors
)


def measure_peers(device: AbstractDevice, quick: bool, seed: int) -> Rows:
    """Every installed library against `optics.wave`, forward and with gradient, with the errors of both.

    Raises:
        ValueError: no library is installed, or a field disagrees with the chain in double precision that has
            the conventions of the library.
    """
    installed = [name for name in LIBRARIES if _is_installed(name)]
    if not installed:
        raise ValueError(
            f"`peers` needs one of {', '.join(LIBRARIES)}; install them by pip install -e .[peers]."
        )
    rows = []
    for batch, n in [(2, 64)] if quick else [(16, 128), (16, 256)]:
        work = chain.make_work(batch, n, seed)
        arguments = tuple(jnp.asarray(a) for a in (work.phase, work.amplitude, work.target))
        our_forward, our_gradient = jax.jit(chain.field), jax.jit(jax.grad(chain.make_loss(chain.field)))
        our_result = our_forward(*arguments[:2]), our_gradient(*arguments)
        our_errors = chain.errors(our_result, chain.reference(work))
        for name in installed:
            forward, gradient, conventions = LIBRARIES[name](work)
            errors = chain.errors((forward(), gradient()), chain.reference(work, **conventions))
            if not errors["field_error"] < LARGEST_FIELD_ERROR:
                raise ValueError(
                    f"`peers`: the field of {_label(name)} differs from the double precision chain by "
                    f"{errors['field_error']:.2g} of its maximum; version {_TESTED[_package(name)]} agrees."
                )
            for operation, theirs, ours, inputs in (
                ("4f chain", forward, our_forward, arguments[:2]),
                ("4f chain and gradient", gradient, our_gradient, arguments),
            ):
                rows.append(
                    {
                        "operation": f"{operation}, {batch} fields of {n}×{n}",
                        "what": _label(name),
                        "against": "optics.wave",
                        **time_ratio(theirs, (), ours, inputs, 3 if quick else 9),
                        **errors,
                        **{f"against_{key}": value for key, value in our_errors.items()},
                    }
                )
    return rows + _measure_lenses(device, installed, quick, seed)


def _measure_lenses(device: AbstractDevice, installed: list[str], quick: bool, seed: int) -> Rows:
    """One transform by full propagation in each library, on the samples that the device's lens needs."""
    if not isinstance(device, optics.FourierProcessor | optics.JointTransform):
        return []
    lens = device.transfer
    # The plane that `FourierLens` needs for a device of that size.
    n = 64 if quick else max(lens.shape) * 64
    work = chain.make_work(1, n, seed)
    light = jax.random.normal(jax.random.key(seed), lens.shape) + 0j
    propagate = jax.jit(lambda lens, light: lens(light))
    rows = []
    for name in installed:
        forward, _, _ = LIBRARIES[name](work, half=True)
        rows.append(
            {
                "operation": f"one transform, {lens.shape[0]}×{lens.shape[1]}",
                "what": f"{_label(name)}, full propagation on {n}×{n}",
                "against": f"compiled, {type(lens).__name__}",
                **time_ratio(forward, (), propagate, (lens, light), 3 if quick else 9),
            }
        )
    return rows


def _torchoptics(
    work: Work, half: bool = False, single: bool = False
) -> tuple[Callable, Callable, dict[str, Any]]:
    import torch
    import torchoptics
    from torchoptics import Field, System
    from torchoptics.elements import Lens, PhaseModulator

    n, f = work.phase.shape[0], work.focal_length
    amplitude, target = torch.tensor(work.amplitude, dtype=torch.complex64), torch.tensor(work.target)
    phase = torch.tensor(work.phase, requires_grad=True)

    def field():
        # Its precision is a global, of which double is the default.
        torchoptics.set_default_dtype(torch.float32 if single else torch.float64)
        light = Field(amplitude, WAVELENGTH, spacing=DX)
        lens = Lens(n, f, z=f, spacing=DX)
        if half:
            return System(lens).measure_at_z(light, z=2 * f, propagation_method="ASM", asm_pad=(0, 0)).data
        system = System(lens, PhaseModulator(phase, z=2 * f, spacing=DX), Lens(n, f, z=3 * f, spacing=DX))
        return system.measure_at_z(light, z=4 * f, propagation_method="ASM", asm_pad=(0, 0)).data

    # The grid lies around its middle, between two samples, and the lens has a round stop.
    return *_in_torch(field, phase, target), {"centre": -0.5, "stop": True}


def _svetlanna(work: Work, half: bool = False) -> tuple[Callable, Callable, dict[str, Any]]:
    import torch
    from svetlanna import LinearOpticalSetup, SimulationParameters, Wavefront
    from svetlanna.elements import DiffractiveLayer, FreeSpace, ThinLens

    n, f = work.phase.shape[0], work.focal_length
    places = (torch.arange(n) - n // 2) * DX
    simulation = SimulationParameters(x=places, y=places, wavelength=WAVELENGTH)
    amplitude, target = (
        Wavefront(torch.tensor(work.amplitude, dtype=torch.complex64)),
        torch.tensor(work.target),
    )
    phase = torch.nn.Parameter(torch.tensor(work.phase))

    def space():
        return FreeSpace(simulation, f, "ASM")

    first = [space(), ThinLens(simulation, f), space()]
    setup = LinearOpticalSetup(
        first
        if half
        else [*first, DiffractiveLayer(simulation, phase), space(), ThinLens(simulation, f), space()]
    )
    return *_in_torch(lambda: setup(amplitude), phase, target), {}


def _in_torch(field: Callable, phase: Any, target: Any) -> tuple[Callable, Callable]:
    import torch

    def forward() -> np.ndarray:
        with torch.no_grad():
            return field().numpy()

    def gradient() -> np.ndarray:
        u = torch.view_as_real(torch.Tensor.resolve_conj(field().as_subclass(torch.Tensor)))
        loss = torch.mean((u.square().sum(-1) - target) ** 2)
        return torch.autograd.grad(loss, phase)[0].numpy()

    return forward, gradient


def _package(name: str) -> str:
    return name.split(",")[0]


def _label(name: str) -> str:
    """Library, version and precision."""
    package = _package(name)
    return f"{package} {version(package)}{name.removeprefix(package)}"


def _is_installed(name: str) -> bool:
    try:
        importlib.import_module(_package(name))
    except ImportError:
        return False
    return True


# (work, half) -> field, gradient, conventions for `bare_field`; `half` ends at the plane of the mask.
LIBRARIES: dict[str, Callable] = {
    "torchoptics": _torchoptics,
    "torchoptics, float32": functools.partial(_torchoptics, single=True),
    "svetlanna": _svetlanna,
}
_TESTED = {"torchoptics": "1.0.2", "svetlanna": "2.0.2"}
