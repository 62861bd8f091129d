"""Guard pixels, against the staircase of a panel blurred by FFT in double precision."""

import jax.numpy as jnp
import numpy as np
import pytest

from optics import encode
from tests.helpers import relative

# Of the fringing field, per panel pixel: σ, q; and samples a panel pixel.
WIDTH, ORDER, FINE = 2.03, 1.2, 10
NUMBERS, GROUP = 4, 6


def blurred_light(drive, numbers):
    """The mean light of each square, from the phases that the panel is driven with."""
    phase = np.mod(np.angle(np.asarray(drive, complex)) + 1e-6, 2 * np.pi)
    # Wider, so that little comes round from the other end.
    phase = np.pad(phase, GROUP, mode="edge")
    fine = np.kron(phase, np.ones((FINE, FINE)))
    f = np.fft.fftfreq(fine.shape[-1], 1 / FINE)
    passes = np.exp(-(np.abs(f / WIDTH) ** ORDER))
    light = np.exp(1j * np.fft.ifft2(np.fft.fft2(fine) * passes[:, None] * passes).real)
    margin = GROUP * FINE
    light = light[margin:-margin, margin:-margin]
    side = light.shape[-1] // numbers
    return light.reshape(numbers, side, numbers, side).mean(axis=(1, 3))


@pytest.mark.parametrize(("guard", "least", "most"), [(0, 0.015, 0.04), (1, 0.0, 0.005), (2, 0.0, 0.002)])
def test_numbers_reach_their_neighbours_less(guard, least, most):
    """How far the light of a number moves when the phases of all others change."""
    encoder = encode.GuardPixels(encode.SequentialPhase(), GROUP, guard)
    rng = np.random.default_rng(0)
    middle = NUMBERS // 2
    lights = []
    for _ in range(8):
        a = rng.normal(size=(NUMBERS, NUMBERS))
        a /= 1.01 * np.abs(a).max()
        # The scale is that of the largest number, in a corner.
        a[0, 0], a[middle, middle] = 1.0, 0.3
        drive, _ = encoder.encode(jnp.asarray(a))
        lights.append(blurred_light(drive[0], NUMBERS)[middle, middle])
    share = ((GROUP - 2 * guard) / GROUP) ** 2
    assert least <= np.std(lights) / share <= most


def test_guards_are_dark_where_amplitudes_are_set():
    inner = encode.Superpixel(3)
    re, im = np.random.default_rng(2).normal(size=(2, 6, 6))
    a = jnp.asarray(re + 1j * im, jnp.complex64)
    encoder = encode.GuardPixels(inner, 4)

    def trip(part, a):
        drive, scale = part.encode(a)
        return drive, scale * part.combine(part.demodulate(drive, a.shape))

    drive, result = trip(encoder, a)
    assert relative(result, trip(inner, a)[1]) <= 1e-5
    assert np.max(np.abs(drive[..., ::4, :])) == 0


def test_a_checkerboard_gains_by_guards():
    """Its light behind the blurred staircase, without the background, up to a common factor."""
    re, im = np.random.default_rng(3).normal(size=(2, NUMBERS, NUMBERS))
    a = re + 1j * im

    def error(encoder):
        light, background = (
            np.mean([blurred_light(plane, NUMBERS) for plane in encoder.encode(jnp.asarray(v))[0]], axis=0)
            for v in (a, 0 * a)
        )
        signal = light - background
        return relative(np.vdot(signal, a) / np.vdot(signal, signal) * signal, a)

    board, in_turn = encode.DoublePhase(), encode.SequentialPhase()
    assert error(encode.GuardPixels(board, 7)) <= 0.7 * error(encode.GuardPixels(board, 7, 0))
    # With few jumps between neighbours, and more light lost, they make things worse.
    assert error(encode.GuardPixels(in_turn, 14)) >= error(encode.GuardPixels(in_turn, 14, 0))
    # Guards between the ends of the range let numbers jump where their phase crosses the seam.
    between = encode.GuardPixels(in_turn, 14, phases=(np.pi / 2, 3 * np.pi / 2))
    assert error(between) >= 1.5 * error(encode.GuardPixels(in_turn, 14))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode.GuardPixels(None, 4), "`encoder` must be .*Encoder"),
        (lambda: encode.GuardPixels(encode.SequentialPhase(), 0), "`group`"),
        (lambda: encode.GuardPixels(encode.SequentialPhase(), 4, 2), "`guard` .* at most 1, got 2"),
        (lambda: encode.GuardPixels(encode.SequentialPhase(), 4, phases=[0.0]), "`phases` must be two"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
