"""A Fourier engine with several wavelengths at once: wavelength-division multiplexing."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, PyTree

from optics._check import as_leaf, check_finite_field, check_instance, check_range, check_shape
from optics._keys import split_key
from optics._program import as_one_program
from optics._typing import ArrayLike, DeviceLike
from optics.device._device import AbstractDevice, Stage
from optics.device._exposure import Exposure
from optics.device._fourier_processor import FourierProcessor, convolve_by_transforms
from optics.device._modes import map_modes
from optics.effects import apply
from optics.transfer import Dense, Modal


class WavelengthChannels(AbstractDevice):
    """One lens that light of K wavelengths passes at once, each with modulators and receivers of its own: K
    planes in one exposure.

        frames at the receivers of channel j = Σ_i crosstalk_ji · (s_i / s_j)^p · frames of channel i

    s is full scale, which the receivers of each channel set for themselves; p = 1 where frames are linear in
    the field and its reference is given, 2 for intensities. The demultiplexer lets a share of the power of
    one wavelength, signal and reference alike, through to the receivers of another. There they interfere with
    each other; that light of two wavelengths beats at their difference, some 100 GHz, no receiver follows.
    Full scale is set by the light of a channel alone: much brighter neighbours may saturate it.

    Planes are taken K at a time, along the last leading axis first; dark channels fill the last exposure.

    Arguments:
        engine: `FourierProcessor` whose transfer is a `Modal` of one mode a channel, as `optics.illuminate`
            makes it of a `light.Light`; the weights do not matter. Effects that differ between channels are
            `effects.PerMode`.
        crosstalk: share of the power, shape (K, K), receivers by wavelengths, in [0, 1]; or what neighbours
            leak over what a channel gets of itself, scalar.
        input_gain, output_gain: calibrated gains of each channel, shape (K, rows, columns), or those of the
            engine by default.

    Raises:
        ValueError: an `engine` that is none or without a `Modal`, `crosstalk` outside [0, 1] or of another
            shape, gains that are not finite or of another shape.

    Source: J. Feldmann et al., Nature 589, 52 (2021), on multiplexed products of matrices; G. P. Agrawal,
        Fiber-Optic Communication Systems (2010), section 6.3, on crosstalk.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> lens = optics.FourierLens(5, pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
        >>> comb = optics.light.Light([1, 1], 1.55e-6, detuning=[-5e-4, 5e-4])
        >>> engine = optics.FourierProcessor(optics.compile_transfer(optics.illuminate(lens, comb)))
        >>> device = optics.WavelengthChannels(engine, crosstalk=1e-3)
        >>> optics.transform(jnp.ones((6, 5, 5)), device).shape
        (6, 5, 5)
    """

    engine: FourierProcessor
    crosstalk: Float[Array, "channels channels"]
    input_gain: Array
    output_gain: Array
    background: Array

    def __init__(
        self,
        engine: DeviceLike,
        crosstalk: ArrayLike = 0.0,
        input_gain: ArrayLike | None = None,
        output_gain: ArrayLike | None = None,
    ):
        check_instance("engine", engine, FourierProcessor, "one with an `optics.illuminate(lens, light)`")
        if not isinstance(engine.transfer, Modal):
            raise ValueError(
                "`engine` must have a `Modal` transfer of one mode a channel, got "
                f"{type(engine.transfer).__name__}; `optics.illuminate(lens, light)` makes one."
            )
        count = engine.transfer.modes
        check_range("crosstalk", crosstalk, 0.0, 1.0)
        leak = as_leaf(crosstalk)
        if leak.shape not in ((), (count, count)):
            raise ValueError(
                f"`crosstalk` must be a scalar or have the shape ({count}, {count}), got {leak.shape}."
            )
        if leak.ndim == 0:
            distance = np.abs(np.arange(count)[:, None] - np.arange(count))
            leak = jnp.where(distance == 0, 1.0, jnp.where(distance == 1, leak, 0.0))
        self.engine, self.crosstalk = engine, leak
        self.input_gain = _as_gains("input_gain", input_gain, engine.input_gain, count, engine.shape)
        self.output_gain = _as_gains("output_gain", output_gain, engine.output_gain, count, engine.shape)
        self.background = jnp.broadcast_to(engine.background, (count, *engine.shape))

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (rows, columns) of modulator and detector of each channel."""
        return self.engine.shape

    @property
    def channels(self) -> int:
        """K, the planes of one exposure."""
        return self.crosstalk.shape[0]

    @as_one_program
    def transform(
        self, a: Inexact[Array, "*lead rows cols"], key: Array | None = None, real: bool = False
    ) -> Inexact[Array, "*lead rows cols"]:
        """Transforms of K planes in one exposure.

        Arguments, result and errors: those of `AbstractDevice.transform`.
        """
        check_shape("a", a, self)
        planes = a.reshape(-1, *self.shape)
        count = len(planes)
        padded = jnp.pad(planes, ((0, -count % self.channels), (0, 0), (0, 0)))
        # (channel, exposure, rows, columns)
        of_channel = padded.reshape(-1, self.channels, *self.shape).swapaxes(0, 1)
        result = self._transform(of_channel, key, real).swapaxes(0, 1)
        return result.reshape(-1, *self.shape)[:count].reshape(a.shape)

    @as_one_program
    def convolve(
        self,
        x: Inexact[Array, "*xlead rows cols"],
        w: Inexact[Array, "*wlead rows cols"],
        key: Array | None = None,
    ) -> Inexact[Array, "*lead rows cols"]:
        """Circular convolution around pixel n//2 of both, all transforms K at a time.

        Arguments, result and errors: those of `AbstractDevice.convolve`.
        """
        return convolve_by_transforms(
            self.transform, x, w, key, map_rows=lambda f, rows, key, _: f(rows, key)
        )

    def with_gains(self, input_gain: ArrayLike, output_gain: ArrayLike) -> "WavelengthChannels":
        """The device with other calibrated gains, shape (K, rows, columns): those that `calibrate` finds for
        an engine with the transfer of each channel.
        """
        count, shape = self.channels, self.shape
        return eqx.tree_at(
            lambda device: (device.input_gain, device.output_gain),
            self,
            (
                _as_gains("input_gain", input_gain, self.input_gain, count, shape),
                _as_gains("output_gain", output_gain, self.output_gain, count, shape),
            ),
        )

    def subtract_background(self) -> "WavelengthChannels":
        """The device with the background of each channel measured: its field while all numbers are 0."""
        background = self._map_channels(lambda engine: engine.background_field())
        return eqx.tree_at(lambda device: device.background, self, background)

    def stages(self) -> tuple[Stage, ...]:
        """Those of the engine, each K at a time."""
        return tuple(stage._replace(simultaneous=self.channels) for stage in self.engine.stages())

    def with_stages(self, **effects) -> "WavelengthChannels":
        """The device with other effects in the stages of its engine."""
        return eqx.tree_at(lambda device: device.engine, self, self.engine.with_stages(**effects))

    def _transform(
        self, planes: Inexact[Array, "channels exposures rows cols"], key: Array | None, real: bool
    ) -> Inexact[Array, "channels exposures rows cols"]:
        keys = None if key is None else split_key(key, (2, self.channels))
        light_keys, camera_keys = (None, None) if keys is None else keys

        def prepare(engine, planes, key):
            exposure = engine.prepare(planes)
            return exposure, engine.form_frames(exposure, key, real)

        def reconstruct(engine, frames, exposure, key):
            return engine.reconstruct(apply(engine.camera, frames, key), exposure, real)

        exposure, frames = self._map_channels(prepare, planes, light_keys)
        frames = self._demultiplex(frames, exposure)
        return self._map_channels(reconstruct, frames, exposure, camera_keys)

    def _map_channels(self, f: Callable, *of_channels: PyTree) -> PyTree:
        """f(engine of channel k, *of_channels[k]) of every channel, along a first axis."""

        def of_channel(parts, input_gain, output_gain, background, *rest):
            slm, transfer = parts
            engine = eqx.tree_at(
                lambda engine: (engine.transfer, engine.background),
                self.engine.with_gains(input_gain, output_gain),
                (transfer, background),
            )
            engine = eqx.tree_at(lambda engine: engine.slm, engine, slm)
            return f(engine, *rest)

        parts = self.engine.slm, self.engine.transfer
        own = self.input_gain, self.output_gain, self.background
        return map_modes(parts, of_channel, *own, *of_channels)

    def _demultiplex(self, frames: Array, exposure: Exposure) -> Array:
        """What the receivers of each channel get of the frames of all, each in the full scale of its own; a
        channel without light has no reference either.
        """
        full_scale = exposure.full_scale[..., None, :, :]
        power = full_scale if self.engine.measurement.linear else full_scale**2
        is_lit = jnp.any(exposure.drive != 0, axis=(-2, -1), keepdims=True)[..., None, :, :]
        sent = frames * jnp.where(is_lit, power, 0)
        mixed = jnp.tensordot(self.crosstalk.astype(frames.dtype), sent, 1, precision="highest")
        return mixed / power


def _as_gains(
    name: str, gains: ArrayLike | None, own: Array | Dense, count: int, shape: tuple[int, int]
) -> Array:
    """The gains of all channels as a leaf."""
    if gains is None and isinstance(own, Dense):
        raise ValueError(
            f"`engine` must have gains of pixels, got a matrix for `{name}`; calibrate it by amplitudes."
        )
    if gains is None:
        return jnp.broadcast_to(own, (count, *shape))
    check_finite_field(name, gains)
    leaf = as_leaf(gains)
    if leaf.shape != (count, *shape):
        raise ValueError(f"`{name}` must have the shape {(count, *shape)} of all channels, got {leaf.shape}.")
    return leaf
