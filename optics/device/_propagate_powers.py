"""Powers behind two transfers and a filter, of light whose pixels do not interfere."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from optics._chunks import MAX_ELEMENTS, chunk_sizes
from optics.transfer import AbstractTransfer, MaskedFFT, Modal, fourier_transform

# Fourier transforms that a convolution of one pair of terms takes, of which half are left out by symmetry.
TRANSFORMS_OF_PAIR = 1.0
# Modes of light that are propagated at once, of which a chunk of points is a part.
MODES = 8


def propagate_powers(
    first: AbstractTransfer,
    passing: Inexact[Array, "rows cols"],
    second: AbstractTransfer,
    lights: Float[Array, "count rows cols"],
) -> Float[Array, "count rows cols"]:
    """The powers at the detector of powers at the input, without the map from all pixels to all others.

        power(m) = Σ_n light(n) |field at m of a point n|²

    Between masks of Fourier transforms, in_j and out_j of the first and in_l and out_l of the second, points
    cast shifted images, and each pair of pairs of terms is a convolution:

        field(m, n) = Σ_jl out_l(m) in_j(n) h_jl(m + n),   h_jl = F[in_l · passing · out_j] / √pixels
        power(m) = Σ_ll' out_l(m) out_l'(m)* Σ_jj' Σ_n in_j(n) in_j'(n)* light(n) h_jl(m + n) h_j'l'(m + n)*

    Other transfers, and masks of very many terms, propagate the points of the input, some at a time.

    Arguments:
        first, second: input -> filter, filter -> detector, of one mode of light.
        passing: of the filter.
        lights: powers, not negative.

    Source: J. W. Goodman, Introduction to Fourier Optics (2005), section 6.3, for one term.
    """
    # The phase of a mode against its reference is none of its power.
    first, second = (part.transfer if isinstance(part, Modal) else part for part in (first, second))
    if _are_few(first, second):
        return _propagate_by_masks(first, passing, second, lights)
    return _propagate_by_points(first, passing, second, lights)


def count_planes(first: AbstractTransfer, second: AbstractTransfer) -> int:
    """Planes of numbers that `propagate_powers` holds at once for the terms of its transfers."""
    return 4 * first.masks_in.shape[-3] if _are_few(first, second) else 0


def _are_few(first: AbstractTransfer, second: AbstractTransfer) -> bool:
    """Whether pairs of terms take fewer transforms than the points of the input."""
    if not (isinstance(first, MaskedFFT) and isinstance(second, MaskedFFT)):
        return False
    terms = first.masks_in.shape[-3], second.masks_in.shape[-3]
    return math.prod(terms) ** 2 * TRANSFORMS_OF_PAIR <= math.prod(first.shape) * sum(terms)


def _propagate_by_masks(first: MaskedFFT, passing: Array, second: MaskedFFT, lights: Array) -> Array:
    pixels = math.prod(first.shape)
    inner, outer = first.masks_in.shape[0], second.masks_in.shape[0]

    def impulses(term):
        """h of one term of the second transfer and all terms of the first."""
        field = fourier_transform(second.masks_in[term] * passing * first.masks_out, first.shape)
        return jnp.fft.ifftshift(field, (-2, -1)) / math.sqrt(pixels)

    @jax.checkpoint
    def add_of_first(total, pair, of_one, of_other):
        one, other = pair
        shading = first.masks_in[one] * jnp.conj(first.masks_in[other])
        of_light = jnp.fft.ifft2(jnp.fft.ifftshift(shading * lights, (-2, -1)), norm="forward")
        return total + of_light * jnp.fft.fft2(of_one[one] * jnp.conj(of_other[other]))

    @jax.checkpoint
    def add_of_second(total, pair):
        one, other = pair
        fields = impulses(one), impulses(other)
        spectrum = jax.lax.scan(
            lambda total, pair: (add_of_first(total, pair, *fields), None),
            jnp.zeros(lights.shape, fields[0].dtype),
            tuple(index.ravel() for index in jnp.indices((inner, inner))),
        )[0]
        image = jnp.fft.fftshift(jnp.fft.ifft2(spectrum), (-2, -1))
        shading = second.masks_out[one] * jnp.conj(second.masks_out[other])
        # A pair and the same in the other order are conjugates.
        return total + jnp.where(one == other, 1.0, 2.0) * (shading * image).real, None

    total = jax.lax.scan(add_of_second, jnp.zeros_like(lights), jnp.triu_indices(outer))[0]
    # Rounding may leave a dark pixel below zero; it keeps its slope.
    return jnp.where(total < 0, total - jax.lax.stop_gradient(total), total)


def _propagate_by_points(
    first: AbstractTransfer, passing: Array, second: AbstractTransfer, lights: Array
) -> Array:
    pixels = math.prod(first.shape)
    size, chunks = chunk_sizes(pixels, pixels, MAX_ELEMENTS // MODES)
    by_pixel = jnp.pad(lights.reshape(-1, pixels), [(0, 0), (0, size * chunks - pixels)])
    by_chunk = jnp.moveaxis(by_pixel.reshape(-1, chunks, size), 1, 0)

    @jax.checkpoint
    def add_chunk(total, chunk):
        places, lit = chunk
        points = jax.nn.one_hot(places, pixels, dtype=lights.dtype).reshape(size, *first.shape)
        field = second(first(points) * passing)
        power = field.real**2 + field.imag**2
        return total + jnp.tensordot(lit, power, 1, precision="highest"), None

    places = jnp.arange(size * chunks).reshape(chunks, size)
    return jax.lax.scan(add_chunk, jnp.zeros_like(lights), (places, by_chunk))[0]
