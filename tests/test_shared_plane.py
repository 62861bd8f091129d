"""Planes that several JAX devices share: the numbers of one device, in a part of its memory."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

import optics
from optics.transfer import share_plane

ROOT = Path(__file__).parents[1]

# Two virtual devices, which are made before JAX starts.
ON_TWO = """
import re
import equinox as eqx, jax, jax.numpy as jnp, numpy as np, optics
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from optics import effects
from optics.transfer import share_plane

mesh = Mesh(jax.devices(), ("rows",))
assert mesh.size == 2
rng = np.random.default_rng(0)

def difference(a, b):
    pairs = zip(*(map(np.asarray, jax.tree.leaves(part)) for part in (a, b)), strict=True)
    return max(np.linalg.norm(x - y) / np.linalg.norm(y) for x, y in pairs)

def slopes(transfer, light):
    masks = transfer.masks_in, transfer.masks_out
    def power(masks, light):
        changed = eqx.tree_at(lambda t: (t.masks_in, t.masks_out), transfer, masks)
        return jnp.sum(jnp.abs(changed(light)) ** 4)
    return jax.jit(jax.grad(power, (0, 1)))(masks, light)

def propagate(transfer, light):
    return transfer(light)

for shape, subpixels, terms in (((6, 10), 2, 5), ((8, 4), 1, 1)):
    sizes = [(terms, *(n * scale for n in shape)) for scale in (subpixels, 1)]
    masks = [rng.standard_normal((2, *size)) for size in sizes]
    whole = optics.MaskedFFT(*(m[0] + 1j * m[1] for m in masks), subpixels=subpixels)
    shared = share_plane(whole, mesh)
    assert shared.masks_in.addressable_shards[0].data.size * 2 == whole.masks_in.size
    light = jax.random.normal(jax.random.key(0), (3, *sizes[0][1:]))
    placed = jax.device_put(light, NamedSharding(mesh, P(None, "rows", None)))
    program = jax.jit(propagate).lower(shared, placed).compile()
    print(difference(program(shared, placed), whole(light)))
    print(difference(slopes(shared, placed), slopes(whole, light)))
    # No device has a whole plane.
    kinds = set(re.findall("(all-to-all|all-gather|all-reduce|collective-permute)", program.as_text()))
    assert kinds == {"all-to-all"}, kinds

device = optics.Correlator(optics.dft(32), camera=(effects.Shot(1e5),), measurement=optics.PhaseShifting(4))
x, w = jax.random.normal(jax.random.key(1), (2, 4, 32, 32))
key = jax.random.key(2)
convolve = jax.jit(lambda device, x, w, key: optics.convolve(x, w, device, key))
placed = jax.device_put(x, NamedSharding(mesh, P(None, "rows", None)))
print(difference(convolve(share_plane(device, mesh), placed, w, key), convolve(device, x, w, key)))
# Of a batch each device has its planes, whole.
of_batch = jax.shard_map(
    lambda x, w: optics.convolve(x, w, device), mesh=mesh, in_specs=P("rows"), out_specs=P("rows"))
print(difference(jax.jit(of_batch)(x, w), convolve(device, x, w, None)))
"""


@pytest.mark.slow
def test_two_devices_give_the_numbers_of_one():
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    process = subprocess.run(
        [sys.executable, "-c", ON_TWO], env=environment, capture_output=True, text=True, timeout=240
    )
    assert process.returncode == 0, process.stderr
    differences = [float(number) for number in process.stdout.split()]
    assert len(differences) == 6 and max(differences) < 5e-6


def test_the_transform_in_two_steps():
    """On one device, against numpy in double precision: rows, then columns, and the middle of the light."""
    rng = np.random.default_rng(0)
    masks_in, masks_out = rng.standard_normal((2, 12, 8)), rng.standard_normal((2, 6, 4))
    shared = share_plane(
        optics.MaskedFFT(masks_in, masks_out, subpixels=2), Mesh(jax.devices()[:1], ("rows",))
    )
    light = rng.standard_normal((12, 8))
    expected = sum(
        out * np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(light * into), norm="ortho"))[3:9, 2:6]
        for into, out in zip(masks_in, masks_out, strict=True)
    )
    np.testing.assert_allclose(shared(jnp.asarray(light, jnp.float32)), expected, atol=1e-5)
    assert isinstance(shared, optics.MaskedFFT) and shared.shape == (6, 4)


def _scaled(gain):
    ones = jnp.ones((1, 32, 32), complex)
    return optics.MaskedFFT(gain * ones, ones)


def test_refusals():
    rows, two = (Mesh(np.array(jax.devices()[:1] * count), ("rows",)) for count in (1, 2))
    for call, message in (
        (lambda: share_plane(optics.dft(4), rows), "`part` must be a `MaskedFFT`.*got Dense"),
        (lambda: share_plane(optics.dft(32), "rows"), "`mesh`"),
        (
            lambda: share_plane(optics.dft(32), jax.make_mesh((1,), ("a",), (AxisType.Explicit,))),
            "`mesh` must have one axis of `AxisType.Auto`",
        ),
        (lambda: share_plane(optics.dft(32), jax.make_mesh((1, 1), ("a", "b"))), "`mesh` must have one axis"),
        (
            lambda: share_plane(jax.vmap(lambda gain: _scaled(gain))(jnp.ones(2)), rows),
            r"`part` must have one mode of light, and its `MaskedFFT` has several, of shape \(2,\)",
        ),
        (lambda: share_plane(optics.dft((25, 32)), two), "`mesh` of 2 devices must divide the 25 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
