"""A hint to the compiler, in numbers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

# Arrays without a short last axis are laid out in lines: wide enough to be fast, narrow enough to be cheap.
LINE = 64


def fusion_barrier(a: Inexact[Array, "*lead n"]) -> Inexact[Array, "*lead n"]:
    """The same numbers, through a product with the identity along the last axis.

    XLA on CPU fuses draws of noise, and the detection of a spectrum, into whatever uses them: then they are
    computed again for every use, one number at a time. Nothing is fused across a product of matrices, and
    this one costs a few per cent if the axis is short; barriers against optimization are removed before
    fusion. What is not finite spreads along that axis and no further.

    Arguments:
        a: real or complex, in single or double precision.
    """
    if jnp.iscomplexobj(a):
        return jax.lax.complex(fusion_barrier(a.real), fusion_barrier(a.imag))
    return jnp.matmul(a, jnp.eye(a.shape[-1], dtype=a.dtype), precision="highest")


def fusion_barrier_in_lines(a: Inexact[Array, "*any"]) -> Inexact[Array, "*any"]:
    """`fusion_barrier` of an array of any shape, laid out in lines of 64 numbers."""
    lines = jnp.pad(a.ravel(), (0, -a.size % LINE)).reshape(-1, LINE)
    return fusion_barrier(lines).ravel()[: a.size].reshape(a.shape)
