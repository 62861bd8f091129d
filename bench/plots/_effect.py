"""What an effect does to a test value."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from bench.plots._scale import BLUE, MAGNITUDE, ORANGE, SIGNED, image
from optics.effects import Effect, Modulation

SIDE, STEPS, DRAWS = 16, 49, 12  # of the test plane, of the curve, of its noise


def effect(effect: Effect, key: Any = None, title: str = "") -> Figure:
    """The curve that an effect turns values by, with its spread over draws and pixels, and what it does to a pattern.

    For an effect on light: phase and amplitude of flat planes, and a grating beside a checkerboard, whose neighbours
    differ. For one on frames: values, errors, and the error of a smooth picture.

    Arguments:
        effect: of `optics.effects`.
        key: of the draws; None takes a fixed one.
        title: of the figure.

    Returns:
        the figure; bands are ± one standard deviation.
    """
    key = jax.random.key(0) if key is None else key
    shape = plane_of(effect)
    figure = Figure(figsize=(12, 3.3), layout="constrained")
    panels = figure.subplots(1, 4)
    (_light if isinstance(effect, Modulation) else _frames)(panels, effect, shape, key)
    figure.suptitle(title or type(effect).__name__)
    return figure


def plane_of(effect: Effect) -> tuple[int, int]:
    """Pixels of a test plane: those of the effect's maps, where it has any."""
    maps = [leaf.shape[-2:] for leaf in jax.tree.leaves(effect) if np.ndim(leaf) >= 2]
    rows, cols = (SIDE if n == 1 else n for n in np.broadcast_shapes(*maps, (1, 1)))
    return rows, cols


def seen(effect: Effect, planes: Any, key: Any) -> np.ndarray:
    """Draws of the effect on planes, shape (draws, *planes)."""
    return np.asarray(_drawn(effect, jnp.asarray(planes), jax.random.split(key, DRAWS)))


@eqx.filter_jit
def _drawn(effect: Effect, planes: Any, keys: Any) -> Any:
    return jax.lax.map(lambda key: effect(planes, key), keys)


def curve(axes: Any, x: Any, found: np.ndarray, colour: str, label: str) -> None:
    """Mean and spread over draws and pixels of values of shape (draws, steps, rows, columns)."""
    mean, spread = found.mean(axis=(0, 2, 3)), found.std(axis=(0, 2, 3))
    axes.plot(x, mean, color=colour, label=label)
    axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.3, linewidth=0)


def _light(panels: Any, effect: Effect, shape: tuple[int, int], key: Any) -> None:
    phases, amplitudes = np.linspace(0, 2 * np.pi, STEPS, endpoint=False), np.linspace(0, 1, STEPS)
    flat = np.concatenate([np.exp(1j * phases), amplitudes])[:, None, None] * np.ones(shape)
    # One program for all of it: compiling takes longer than drawing.
    found = seen(effect, np.concatenate([flat, grating(shape)[None]]), key)
    turned, dimmed, given = found[:, :STEPS], found[:, STEPS : 2 * STEPS], found[0, -1]
    # Relative to what was asked, so that nothing wraps.
    curve(
        panels[0], phases, np.angle(turned * np.exp(-1j * phases)[:, None, None]), BLUE, "error of the phase"
    )
    panels[0].set(xlabel="phase asked for (rad)", ylabel="phase given − asked for (rad)")
    curve(panels[1], amplitudes, np.abs(dimmed), BLUE, "amplitude")
    panels[1].plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1)
    panels[1].set(xlabel="amplitude asked for (1)", ylabel="amplitude given (1)")
    # Sub-pixels, where an effect gives them, are compared with their pixel.
    light = np.kron(
        grating(shape), np.ones([have // want for have, want in zip(given.shape, shape, strict=True)])
    )
    image(panels[2], np.abs(given), "amplitude (1)", title="a grating | a checkerboard", limits=(0, None))
    turn = np.angle(given * light.conj())
    largest = max(float(np.abs(turn).max()), 1e-3)
    image(
        panels[3],
        turn,
        "phase given − asked for (rad)",
        cmap=SIGNED,
        limits=(-largest, largest),
        title="their phases, changed",
    )
    for axes in panels[:2]:
        axes.grid(alpha=0.3)
    # A hair's breadth of rounding is no curve.
    low, high = panels[0].get_ylim()
    if high - low < 1e-4:
        panels[0].set_ylim(-0.05, 0.05)


def _frames(panels: Any, effect: Effect, shape: tuple[int, int], key: Any) -> None:
    low = -1.2 if effect.signed else 0.0
    x = np.linspace(low, 1.2, STEPS)
    asked = (2 * picture(shape) - 1) if effect.signed else picture(shape)
    found = seen(effect, np.concatenate([x[:, None, None] * np.ones(shape), asked[None]]), key)
    found, given = found[:, :-1], found[0, -1]
    panels[0].plot([low, 1.2], [low, 1.2], color="0.5", linestyle="--", linewidth=1, label="nothing happens")
    curve(panels[0], x, found, BLUE, "mean ± σ")
    panels[0].set(xlabel="value (full scale)", ylabel="value after (full scale)")
    panels[0].legend(frameon=False, fontsize=8)
    curve(panels[1], x, found - x[:, None, None], ORANGE, "error")
    panels[1].axhline(0, color="0.5", linestyle="--", linewidth=1)
    panels[1].set(xlabel="value (full scale)", ylabel="change (full scale)")
    image(
        panels[2],
        given,
        "full scale (1)",
        cmap=SIGNED if effect.signed else MAGNITUDE,
        title="a picture, after",
    )
    largest = max(float(np.abs(given - asked).max()), 1e-6)
    image(
        panels[3],
        given - asked,
        "full scale (1)",
        cmap=SIGNED,
        limits=(-largest, largest),
        title="its change",
    )
    for axes in panels[:2]:
        axes.grid(alpha=0.3)


def grating(shape: tuple[int, int]) -> np.ndarray:
    """Light of amplitude 1: a blazed grating of 4 pixels on the left, a checkerboard of 0 and 3π/2 on the right."""
    y, x = np.indices(shape)
    phase = np.where(x < shape[1] // 2, np.pi / 2 * (x % 4), 1.5 * np.pi * ((x + y) % 2))
    return np.exp(1j * phase)


def picture(shape: tuple[int, int]) -> np.ndarray:
    """A smooth picture in [0, 1] without symmetry: two spots on a slope."""
    y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape)
    y, x = y[:, None], x[None, :]
    spots = np.exp(-8 * ((x + 0.4) ** 2 + (y + 0.3) ** 2)) + 0.6 * np.exp(
        -12 * ((x - 0.5) ** 2 + (y - 0.4) ** 2)
    )
    return np.clip(0.15 + 0.1 * x + 0.75 * spots, 0, 1)
