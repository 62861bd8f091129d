"""Retrieval of a field from frames of known masks, with a known reference to begin from."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Inexact

from optics._check import (
    as_array,
    as_leaf,
    check_finite_field,
    check_positive_number,
    check_range,
    check_whole,
)
from optics._numerics import safe_abs, safe_divide, safe_sqrt
from optics._typing import ArrayLike, CountLike, ScalarLike
from optics.retrieve._retrieved import Retrieved
from optics.retrieve._transform import to_centre, to_corner

FRAME_AXES = (-3, -2, -1)
# Curvature, relative to the largest, below which the gradient does not follow a direction.
FLAT = 1e-2


def coded_diffraction(
    amplitudes: ArrayLike,
    masks: ArrayLike,
    reference: ArrayLike,
    iterations: CountLike = 30,
    floor: ScalarLike = 0.5,
) -> Retrieved:
    """Find an object from the amplitudes behind several known masks, each beside the same known reference.

        A_k = |u_k|,   u_k = F(m_k x) + ρ
        x = argmin ½ Σ_k ‖ √(|u_k|² + ε) − √(A_k² + ε) ‖²,   ε = floor² · mean |ρ|²

    The misfit is that of amplitudes, whose noise is even where photons make it, and below the floor that of
    intensities: a dark sample has no phase, and its amplitude has no slope. Nothing else about the object is
    known. The reference makes its phase known, and is where the search begins: at x = 0, u_k = ρ, the first
    step is the linear reconstruction of a hologram. Each step is one of nonlinear conjugate gradients, with
    the step length that the curvature of the misfit gives: one transform forward and one back a mask. Three
    masks are the fewest that determine a complex object; four with a reference as bright as the mean of F x
    find it (512 of 512 random objects of 16×16 to 1e-4 in 25 iterations, to 4e-6 in the median), a dimmer
    reference needs more masks or iterations. Each object of a batch has steps of its own.

    The gradient is that of the minimum, by the implicit function theorem, with as many steps of conjugate
    gradients as there are iterations, and none is kept in memory. It is the gradient of the result as far as
    that has converged: of fields of 8×8 in double precision to 1e-3 with 25 iterations and to 3e-6 with 40.
    It reaches amplitudes, masks and reference; an amplitude that is zero has none.

    Arguments:
        amplitudes: A_k, shape (..., frames, rows, columns), any unit.
        masks: m_k, on the object, real or complex, dimensionless, shape (frames, rows, columns).
        reference: ρ, in the plane of the amplitudes, scalar or shape (rows, columns), in their unit.
        iterations: at least 1.
        floor: amplitude, relative to the reference, below which samples count less, scalar.

    Returns:
        `Retrieved(object, field, residual)` with field = F object, `centred_dft`, and the residual
        √(Σ_k ‖ |u_k| − A_k ‖² / Σ_k ‖A_k‖²).

    Raises:
        ValueError: amplitudes that are complex, negative or lack the axis of frames, masks or a reference of
            another shape or not finite, `iterations` not whole or a `floor` that is
            not positive.

    Source: E. J. Candès, X. Li and M. Soltanolkotabi, Appl. Comput. Harmon. Anal. 39, 277 (2015), for masks;
        J. Nocedal and S. J. Wright, Numerical Optimization (2006), section 5.2, for the steps; D. A.
        Barmherzig et al., Inverse Problems 35, 094001 (2019), for a reference beside the object.

    Example:
        >>> import jax.numpy as jnp, optics
        >>> x, masks = jnp.array([[1.0, 0.5j]]), jnp.array([[[1.0, 1.0]], [[1.0, 1j]], [[1j, 1.0]]])
        >>> field = optics.retrieve.centred_dft(masks * x)
        >>> retrieved = optics.retrieve.coded_diffraction(jnp.abs(field + 1), masks, 1.0)
        >>> print(bool(jnp.abs(retrieved.object - jnp.array([[1, 0.5j]])).max() < 1e-3))
        True
    """
    amplitudes, masks = as_array("amplitudes", amplitudes), as_array("masks", masks)
    if amplitudes.ndim < 3 or jnp.iscomplexobj(amplitudes):
        raise ValueError(
            "`amplitudes` must be real, of shape (..., frames, rows, columns), got "
            f"{amplitudes.dtype} of shape {amplitudes.shape}."
        )
    check_range("amplitudes", amplitudes, 0.0, jnp.inf)
    check_finite_field("masks", masks)
    if masks.shape != amplitudes.shape[-3:]:
        raise ValueError(
            f"`masks` must have the shape of the last three axes of `amplitudes`, {amplitudes.shape[-3:]}, "
            f"got {masks.shape}."
        )
    reference = as_array("reference", reference)
    check_finite_field("reference", reference)
    if reference.shape not in ((), masks.shape[1:]):
        raise ValueError(
            f"`reference` must be a scalar or have the planes of `amplitudes`, {masks.shape[1:]}, got "
            f"{reference.shape}."
        )
    check_whole("iterations", iterations, 1)
    check_positive_number("floor", floor)
    return _retrieve(amplitudes, masks, reference, int(iterations), as_leaf(floor))


class _Frames(NamedTuple):
    """What is measured and known, the origin of every plane at sample 0.

    Attributes:
        levels: √(A² + ε), shape (..., frames, rows, columns).
        masks: m, complex, shape (frames, rows, columns).
        reference: ρ, complex, scalar or (rows, columns).
        softening: ε, scalar.
    """

    levels: Float[Array, "*lead frames rows cols"]
    masks: Complex[Array, "frames rows cols"]
    reference: Complex[Array, "..."]
    softening: Float[Array, ""]

    def images(self, x: Inexact[Array, "*lead rows cols"]) -> Complex[Array, "*lead frames rows cols"]:
        """F(m x)."""
        return jnp.fft.fft2(self.masks * x[..., None, :, :], norm="ortho")

    def backward(self, u: Complex[Array, "*lead frames rows cols"]) -> Complex[Array, "*lead rows cols"]:
        """The adjoint of `images`."""
        return jnp.sum(jnp.conj(self.masks) * jnp.fft.ifft2(u, norm="ortho"), axis=-3)

    def modulus(self, u: Complex[Array, "*lead frames rows cols"]) -> Float[Array, "*lead frames rows cols"]:
        """√(|u|² + ε)."""
        return jnp.sqrt(u.real**2 + u.imag**2 + self.softening)

    def slope(self, x: Complex[Array, "*lead rows cols"]) -> Complex[Array, "*lead rows cols"]:
        """The Wirtinger gradient of the misfit."""
        u = self.images(x) + self.reference
        return self.backward(u * (1 - self.levels / self.modulus(u)))


@eqx.filter_jit
def _retrieve(amplitudes, masks, reference, iterations, floor):
    dtype = jnp.result_type(amplitudes, masks, reference, jnp.complex64)
    reference = (to_corner(reference) if reference.ndim else reference).astype(dtype)
    amplitudes = to_corner(amplitudes)
    # Also without a reference nothing is divided by zero.
    smallest = jnp.finfo(amplitudes.dtype).tiny
    softening = (floor**2 * jnp.mean(reference.real**2 + reference.imag**2) + smallest).astype(
        amplitudes.dtype
    )
    levels = jnp.sqrt(amplitudes**2 + softening)
    frames = _Frames(levels, to_corner(masks).astype(dtype), reference, softening)
    x = _minimum(iterations, frames)
    misfit = safe_abs(frames.images(x) + frames.reference) - amplitudes
    residual = safe_divide(_norm(misfit), _norm(amplitudes))
    return Retrieved(to_centre(x), to_centre(jnp.fft.fft2(x, norm="ortho")), residual)


def _norm(a: Float[Array, "*lead frames rows cols"]) -> Float[Array, "*lead"]:
    return safe_sqrt(jnp.sum(a**2, axis=FRAME_AXES))


def _dot(a: Complex[Array, "*any"], b: Complex[Array, "*any"], axes=(-2, -1)) -> Float[Array, "..."]:
    """The real inner product of each example."""
    return jnp.sum(a.real * b.real + a.imag * b.imag, axis=axes, keepdims=True)


def _ratio(a: Float[Array, "*any"], b: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """a / b, and 0 where b is not above zero: a search that has ended stays where it is."""
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _minimum(iterations: int, frames: _Frames) -> Complex[Array, "*lead rows cols"]:
    """The object of least misfit, by nonlinear conjugate gradients."""

    def step(_, state):
        x, u, before, direction = state
        modulus = frames.modulus(u)
        excess = frames.levels / modulus
        down = frames.backward(u * (excess - 1))
        turn = _ratio(_dot(down, down - before), _dot(before, before))
        direction = down + jnp.maximum(turn, 0) * direction
        image = frames.images(direction)
        # The misfit bends along the phasor of a sample, and across it as far as its amplitude is too large.
        along = (u.real * image.real + u.imag * image.imag) / modulus
        power = image.real**2 + image.imag**2
        bends = excess * along**2 + jnp.maximum(1 - excess, 0) * power
        length = _ratio(_dot(down, direction), jnp.sum(bends, axis=FRAME_AXES)[..., None, None])
        return x + length * direction, u + length[..., None] * image, down, direction

    shape = frames.levels.shape
    zero = jnp.zeros((*shape[:-3], *shape[-2:]), frames.masks.dtype)
    u = jnp.broadcast_to(frames.reference, shape)
    return jax.lax.fori_loop(0, iterations, step, (zero, u, zero, zero))[0]


@_minimum.defjvp
def _tangent(iterations, primals, tangents):
    (frames,), (moves,) = primals, tangents
    x = _minimum(iterations, frames)
    moved = jax.jvp(lambda frames: frames.slope(x), (frames,), (moves,))[1]
    curvature = jax.linearize(frames.slope, x)[1]
    largest = jnp.max(jnp.sum(jnp.abs(frames.masks) ** 2, axis=0))

    # The curvature is linear in the real and the imaginary part, each of its own.
    def of_parts(f):
        def parts(pair):
            y = f(jax.lax.complex(*pair))
            return y.real, y.imag

        return parts

    def solve(_, b):
        return of_parts(lambda b: _conjugate_gradients(curvature, b, iterations, largest))(b)

    move = jax.lax.custom_linear_solve(of_parts(curvature), (-moved.real, -moved.imag), solve, symmetric=True)
    return x, jax.lax.complex(*move)


def _conjugate_gradients(curvature, b, steps, largest):
    """The solution of a symmetric real-linear system on complex planes, example by example.

    An example is left as it is when nothing is left of its right side but rounding, and at a direction in
    which the misfit hardly bends or bends downwards: there its search has not arrived at a minimum, and a
    solution would be as large as the bend is small.

    Arguments:
        curvature: the system.
        b: right side, shape (..., rows, columns).
        steps: at most.
        largest: eigenvalue that the curvature of a misfit of zero can have.
    """
    rounding = (10 * jnp.finfo(b.dtype).eps) ** 2 * _dot(b, b)

    def step(_, state):
        x, left, direction = state
        image = curvature(direction)
        size, bend = _dot(left, left), _dot(direction, image)
        bends = bend > FLAT * largest * _dot(direction, direction)
        length = jnp.where(bends, _ratio(size, bend), 0)
        x, left = x + length * direction, left - length * image
        size_left = _dot(left, left)
        goes_on = bends & (size_left > rounding)
        return x, left, jnp.where(goes_on, left + _ratio(size_left, size) * direction, 0)

    return jax.lax.fori_loop(0, steps, step, (jnp.zeros_like(b), b, b))[0]
