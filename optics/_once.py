"""A hint to the compiler, in numbers."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

# Wide enough that the product is one of a matrix library, narrow enough that it costs little.
LINE = 64


def computed_once(a: Inexact[Array, "*any"]) -> Inexact[Array, "*any"]:
    """The same numbers, through a product with the identity.

    XLA on CPU fuses draws of noise, and the detection of a spectrum, into whatever uses them: then they are computed again
    for every use, one number at a time. Nothing is fused across a product of matrices, and this one costs a few per
    cent; barriers against optimization are removed before fusion.

    Arguments:
        a: any shape, real or complex, in single or double precision.
    """
    if jnp.iscomplexobj(a):
        return jax.lax.complex(computed_once(a.real), computed_once(a.imag))
    rows = -(-a.size // LINE)
    lines = jnp.pad(a.ravel(), (0, rows * LINE - a.size)).reshape(rows, LINE)
    return jnp.matmul(lines, jnp.eye(LINE, dtype=a.dtype), precision="highest").ravel()[: math.prod(a.shape)].reshape(a.shape)
