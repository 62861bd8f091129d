"""A hint to the compiler, in numbers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact


def fusion_barrier(a: Inexact[Array, "*any"]) -> Inexact[Array, "*any"]:
    """The same numbers, which the compiler stores before it uses them.

    XLA on CPU fuses draws of noise, and the detection of a spectrum, into whatever uses them: then they are
    computed again for every use. Nothing is fused across a condition that the compiler cannot decide;
    barriers against optimization are removed before fusion. On other platforms nothing is done.

    Arguments:
        a: real or complex, in any precision.
    """
    if a.size == 0:
        return a
    return jax.lax.platform_dependent(a, cpu=_behind_a_condition, default=lambda a: a)


def _behind_a_condition(a: Inexact[Array, "*any"]) -> Inexact[Array, "*any"]:
    first = jax.lax.stop_gradient(a[(0,) * a.ndim].real)
    bits = jax.lax.bitcast_convert_type(first, jnp.dtype(f"uint{8 * first.dtype.itemsize}"))
    # Always true: no number has more bits set than it has.
    condition = jax.lax.population_count(bits) <= 8 * first.dtype.itemsize
    return jax.lax.cond(condition, lambda a: a, lambda a: -a, a)
