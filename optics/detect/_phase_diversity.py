"""Phase diversity: intensities of one field behind several known masks, without a reference beam."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import as_leaf, check_finite_field, check_positive_number, check_whole, is_concrete
from optics._numerics import safe_sqrt
from optics._typing import ArrayLike, CountLike, ScalarLike
from optics.detect._measurement import AbstractMeasurement
from optics.retrieve import Retrieved, centred_dft, coded_diffraction

# Frames of a field; no bench takes more, and all of them are in memory.
LARGEST_STEPS = 64


class PhaseDiversity(AbstractMeasurement):
    """An intensity camera alone: the field behind known masks, and a retrieval that finds its phase.

        I_k = |F(m_k F⁻¹ z) + r q|² / (1 + r)²
        z = F argmin_a Σ_k ‖ |F(m_k a) + r q| − (1 + r) √I_k ‖²

    The masks m_k are in the plane of the modulator, F⁻¹ z being its light: a phase panel adds them to the
    phases of the numbers. By default frame k is defocused by k + ½ steps,

        m_k = exp(i (k + ½) φ),   φ = π (y²/rows + x²/columns),   y and x from the middle of the array,

    so that no frame shows the bright points of even planes. Beside the numbers a part of the modulator shows
    a fixed pattern, the phase of a lens, whose light falls evenly on the camera: r q, q = exp(iφ). The
    retrieval (`retrieve.coded_diffraction`) knows the masks, r and q, and nothing of the numbers. It begins
    from the light of the fixed pattern, which also settles the phase of the whole: a turn of all light from
    the panel, as its flicker makes, is not seen and does no harm. The gradient is that of the best fit,
    without the iterations.

    r should be near the root mean square of the fields: far below, the search needs more steps or iterations;
    above, the pattern takes light. `residual` tells a search that has not found the field. |z|² does not
    cancel: the frames are those of the field at each pixel's centre, so that detector pixels must be small.
    The masks are simulated as exact, and the pattern as part of the camera's light. At the same light in all
    frames together four steps have a tenth less noise than `PhaseShifting` with a reference beam as weak; the
    retrieval takes two transforms a step and an iteration to compute.

    Arguments:
        steps: frames, at least 3 for complex fields; by default 4, or the number of `masks`.
        reference: r, relative to the brightest field, scalar.
        masks: m_k of one's own, of modulus 1, dimensionless, shape (steps, rows, columns).
        iterations: of the retrieval, at least 1.

    Raises:
        ValueError: fewer than 2 steps, a `reference` that is not positive, `masks` that are no stack of
            planes of modulus 1 or not `steps` in number, `iterations` not whole, or a field of another shape
            than the masks.

    Source: R. A. Gonsalves, Opt. Eng. 21, 829 (1982), for known defocus; E. J. Candès, X. Li and M.
        Soltanolkotabi, Appl. Comput. Harmon. Anal. 39, 277 (2015), for masks; D. C. Chu, IEEE Trans. Inf.
        Theory 18, 531 (1972), for the pattern.

    Example:
        >>> import jax, jax.numpy as jnp, optics
        >>> field = jax.random.normal(jax.random.key(0), (8, 8), complex)
        >>> measurement = optics.PhaseDiversity(4)
        >>> found = measurement.field(measurement.frames(field))
        >>> print(optics.metrics.relative_error(found, field) < 1e-3)
        True
    """

    # A camera measures |z|², also of a field that is known to be real.
    signed: ClassVar[bool] = False
    single_exposure: ClassVar[bool] = False
    supports_real: ClassVar[bool] = False
    steps: int = eqx.field(static=True)
    reference: Array = eqx.field(converter=as_leaf)
    masks: Array | None
    iterations: int = eqx.field(static=True)

    def __init__(
        self,
        steps: CountLike | None = None,
        reference: ScalarLike = 1.0,
        masks: ArrayLike | None = None,
        iterations: CountLike = 30,
    ):
        if masks is not None:
            masks = _as_masks(masks)
            if steps is not None:
                check_whole("steps", steps, 2, LARGEST_STEPS)
            if steps is not None and steps != len(masks):
                raise ValueError(
                    f"`steps` must be the number of `masks`, {len(masks)}, or be left out, got {steps!r}."
                )
            steps = len(masks)
        steps = 4 if steps is None else steps
        check_whole("steps", steps, 2, LARGEST_STEPS)
        check_positive_number("reference", reference)
        check_whole("iterations", iterations, 1)
        self.steps, self.reference, self.masks = int(steps), reference, masks
        self.iterations = int(iterations)

    def frames(self, field: Inexact[Array, "*lead rows cols"]) -> Float[Array, "*lead steps rows cols"]:
        """Frames (..., steps, rows, columns) in units of full scale, in [0, 1] behind a modulator."""
        return self.frames_in_turn(field[..., None, :, :])

    def frames_in_turn(
        self, fields: Inexact[Array, "*lead frames rows cols"]
    ) -> Float[Array, "*lead steps rows cols"]:
        """The frames of a field that differs from frame to frame, or of one (..., 1, rows, columns)."""
        shape = fields.shape[-2:]
        # F⁻¹ y is the conjugate of F of the conjugate.
        light = jnp.conj(centred_dft(jnp.conj(fields)))
        u = centred_dft(self._masks(shape) * light) + self._reference(shape)
        return (u.real**2 + u.imag**2) / (1 + self.reference) ** 2

    def field(self, frames: Float[Array, "*lead steps rows cols"]) -> Complex[Array, "*lead rows cols"]:
        """The field from the frames."""
        return self._retrieve(frames).field

    def residual(self, frames: Float[Array, "*lead steps rows cols"]) -> Float[Array, "*lead"]:
        """What the retrieval leaves of the amplitudes, relative to them; far above their noise it has not
        found the field.
        """
        return self._retrieve(frames).residual

    def _retrieve(self, frames: Float[Array, "*lead steps rows cols"]) -> Retrieved:
        # Noise may have made a frame negative.
        amplitudes = safe_sqrt(frames) * (1 + self.reference)
        shape = frames.shape[-2:]
        return coded_diffraction(amplitudes, self._masks(shape), self._reference(shape), self.iterations)

    def _masks(self, shape: tuple[int, int]) -> Complex[Array, "steps rows cols"]:
        if self.masks is None:
            return jnp.exp(1j * (jnp.arange(self.steps)[:, None, None] + 0.5) * _lens_phase(shape))
        if self.masks.shape[1:] != shape:
            raise ValueError(
                f"`masks` must have the planes of the field, {shape}, got {self.masks.shape[1:]}."
            )
        return self.masks

    def _reference(self, shape: tuple[int, int]) -> Complex[Array, "rows cols"]:
        return self.reference * jnp.exp(1j * _lens_phase(shape))


def _lens_phase(shape: tuple[int, int]) -> Float[Array, "rows cols"]:
    """φ, rad: with the phase of a lens that the whole array has, its transform is as even as itself."""
    y, x = (np.arange(n) - (n - 1) / 2 for n in shape)
    return jnp.asarray(np.pi * (y[:, None] ** 2 / shape[0] + x**2 / shape[1]), jnp.result_type(float))


def _as_masks(masks: ArrayLike) -> Array:
    """The masks as a leaf, refused unless they are a stack of planes of modulus 1."""
    check_finite_field("masks", masks)
    array = as_leaf(masks)
    if array.ndim != 3:
        raise ValueError(f"`masks` must have the shape (steps, rows, columns), got {array.shape}.")
    if is_concrete(masks):
        deviation = np.max(np.abs(np.abs(np.asarray(masks)) - 1), initial=0)
        if deviation > 1e-4:
            raise ValueError(
                f"`masks` must have modulus 1, got a difference of {deviation:.3g}; divide by the modulus."
            )
    return array
