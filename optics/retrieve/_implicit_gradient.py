"""The gradient of a retrieval without its iterations."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from optics._check import check_range, check_whole
from optics.retrieve._planes import dft
from optics.retrieve._retrieved import modulus
from optics.retrieve._search import outcome


def implicit_gradient(f: Any, steps: Any = 200, damping: Any = 0.0) -> Callable:
    """Differentiate a retrieval by the implicit function theorem at the object it has converged to.

        g(x, A) = ∂/∂x ½ ‖ |F x| − A ‖² = 0   ⇒   dx = −(∂g/∂x + damping)⁻¹ ∂g/∂A dA

    Only samples within the support, and of objects that are not negative those above zero, take part. The linear
    system is solved by conjugate gradients. For complex objects the turn of their phase, which changes nothing, is
    taken out of it. Memory and time do not grow with the iterations, whatever the algorithm; the result must be
    stationary, so let it end with error reduction or `amplitude_flow`. Derivatives reach the amplitude and the
    floating-point leaves of `forward` when that is a pytree (an equinox module); the start has none.

    Arguments:
        f: `error_reduction`, `hio`, `raar` or `amplitude_flow`.
        steps: of conjugate gradients at most.
        damping: at least 0, in units of ‖F‖² = 1, scalar; for objects that the amplitude hardly determines.

    Returns:
        function of the same signature and result, differentiable in forward and reverse mode.

    Raises:
        ValueError: a function without arguments `amplitude`, `support`, `nonnegative` and `forward`, `steps` not whole
            or `damping` negative.

    Source: S. G. Krantz and H. R. Parks, The Implicit Function Theorem (2002); M. Blondel et al., NeurIPS 35 (2022).
    """
    needed = {"amplitude", "support", "nonnegative", "forward"}
    if not callable(f) or not needed <= set(inspect.signature(f).parameters):
        raise ValueError(f"`f` must be a retrieval with a support, such as `optics.retrieve.hio`, got {f!r}.")
    check_whole("steps", steps, 1)
    check_range("damping", damping, 0.0, jnp.inf)
    signature = inspect.signature(f)

    @functools.wraps(f)
    def wrapped(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        # A plain number has no derivative to give; the amplitude has, whatever it came as.
        given = {
            **bound.arguments,
            **{name: jnp.asarray(bound.arguments[name]) for name in ("amplitude", "support")},
        }
        arrays, rest = eqx.partition(given, eqx.is_array)

        @jax.custom_jvp
        def solve(arrays):
            return f(**eqx.combine(arrays, rest)).object

        @solve.defjvp
        def rule(primals, tangents):
            (arrays,), (moved,) = primals, tangents
            x = solve(arrays)
            return x, _tangent(x, eqx.combine(arrays, rest), _directions(moved, arrays), steps, damping)

        x = solve(arrays)
        return outcome(x, given["amplitude"], given["forward"])

    return wrapped


def _directions(moved: Any, arrays: Any) -> Any:
    """Tangents of the amplitude and of the transform; the others do not move a converged object."""
    free = {name: eqx.filter(arrays[name], eqx.is_inexact_array) for name in ("amplitude", "forward")}
    return jax.tree.map(lambda leaf, t: t, free, {name: moved[name] for name in free})


def _tangent(x: Any, given: dict[str, Any], directions: Any, steps: int, damping: Any) -> Any:
    """dx from the directions in which amplitude and transform move."""
    free, fixed = eqx.partition({name: given[name] for name in directions}, eqx.is_inexact_array)
    allowed = given["support"] & (x > 0) if given["nonnegative"] else given["support"]
    complex_ = jnp.iscomplexobj(x)

    def parts(a):
        return (a.real, a.imag) if complex_ else (a,)

    def whole_(p):
        return jax.lax.complex(*p) if complex_ else p[0]

    def misfit(p, free):
        both = eqx.combine(free, fixed)
        forward = dft if both["forward"] is None else both["forward"]
        object_ = whole_(p)
        u = forward(object_.astype(jnp.result_type(object_, jnp.complex64)))
        return 0.5 * jnp.sum((modulus(u) - both["amplitude"]) ** 2)

    def slope(p, free):
        return jax.grad(misfit)(p, free)

    turn = parts(jnp.where(allowed, 1j * x, 0)) if complex_ else None

    def within(p):
        """Without what is not free to move: samples outside, and the turn of the phase of each example."""
        p = tuple(jnp.where(allowed, a, 0) for a in p)
        if turn is None:
            return p
        along, size = (
            sum(jnp.sum(a * b, axis=(-2, -1), keepdims=True) for a, b in zip(turn, q, strict=True))
            for q in (p, turn)
        )
        share = along / jnp.where(size > 0, size, 1)
        return tuple(a - share * b for a, b in zip(p, turn, strict=True))

    at = parts(x)

    def curvature(p):
        p = within(p)
        bent = within(jax.jvp(lambda q: slope(q, free), (at,), (p,))[1])
        return tuple(a + damping * b for a, b in zip(bent, p, strict=True))

    pull = within(jax.jvp(lambda q: slope(at, q), (free,), (directions,))[1])

    def solve(curvature, b):
        return jax.scipy.sparse.linalg.cg(
            curvature, b, tol=10 * float(jnp.finfo(b[0].dtype).eps), maxiter=steps
        )[0]

    step = jax.lax.custom_linear_solve(curvature, tuple(-a for a in pull), solve, symmetric=True)
    return whole_(within(step))
