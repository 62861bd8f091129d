"""The gradient of a retrieval without its iterations."""

import functools
import inspect
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, PyTree

from optics._check import check_number, check_whole, describe
from optics._numerics import safe_abs, safe_divide
from optics._typing import CountLike, FunctionLike, ScalarLike
from optics.retrieve._problem import Problem


def implicit_gradient(f: FunctionLike, steps: CountLike = 200, damping: ScalarLike = 0.0) -> Callable:
    """Differentiate a retrieval by the implicit function theorem at the object that it has converged to.

        g(x, A) = ∂/∂x ½ ‖ |F x| − A ‖² = 0   ⇒   dx = −(∂g/∂x + damping)⁻¹ ∂g/∂A dA

    Only samples within the support take part, and of objects that are not negative those above zero. The
    linear system is solved by conjugate gradients. For complex objects the common phase, which changes
    nothing, is projected out. Memory and time do not grow with the iterations, whatever the algorithm. The
    result must be stationary, so end the search with error reduction or `amplitude_flow`. Derivatives reach
    the amplitude and the floating-point leaves of `forward` when that is a pytree (an equinox module); the
    start has none.

    Arguments:
        f: `error_reduction`, `hio`, `raar` or `amplitude_flow`.
        steps: of conjugate gradients at most.
        damping: at least 0, in units of ‖F‖² = 1, scalar; for objects that the amplitude hardly determines.

    Returns:
        function of the same signature and result, differentiable in forward and reverse mode.

    Raises:
        ValueError: a function without arguments `amplitude`, `support`, `nonnegative` and `forward`, `steps`
            not whole or `damping` negative.

    Source: S. G. Krantz and H. R. Parks, The Implicit Function Theorem (2002); M. Blondel et al., NeurIPS 35
        (2022).
    """
    needed = {"amplitude", "support", "nonnegative", "forward"}
    if not callable(f) or not needed <= set(inspect.signature(f).parameters):
        raise ValueError(
            f"`f` must be a retrieval with a support, such as `optics.retrieve.hio`, got {describe(f)}."
        )
    check_whole("steps", steps, 1)
    check_number("damping", damping, 0.0)
    signature = inspect.signature(f)

    @functools.wraps(f)
    def retrieve(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        # A plain number has no derivative to give; the amplitude has, whatever it came as.
        bound.arguments.update(
            {name: jnp.asarray(bound.arguments[name]) for name in ("amplitude", "support")}
        )
        arrays, rest = eqx.partition(dict(bound.arguments), eqx.is_array)

        @jax.custom_jvp
        def solve(arrays):
            return f(**eqx.combine(arrays, rest)).object

        @solve.defjvp
        def rule(primals, tangents):
            x = solve(*primals)
            problem = _problem(eqx.combine(*primals, rest))
            return x, _tangent(x, problem, _directions(problem, *tangents), steps, damping)

        return _problem(bound.arguments).result(solve(arrays))

    return retrieve


def _problem(arguments: dict[str, PyTree]) -> Problem:
    return Problem(*(arguments[name] for name in ("amplitude", "support", "forward", "nonnegative")))


def _directions(problem: Problem, tangents: dict[str, PyTree]) -> Problem:
    """Tangents in the place of the arrays of amplitude and transform; no others move a converged object."""
    free = eqx.filter(problem, eqx.is_inexact_array)
    of_forward = jax.tree.map(lambda leaf, tangent: tangent, free.forward, tangents["forward"])
    leaves = [tangents["amplitude"], *jax.tree.leaves(of_forward)]
    return jax.tree.unflatten(jax.tree.structure(free), leaves)


def _tangent(
    x: Inexact[Array, "*lead rows cols"],
    problem: Problem,
    directions: Problem,
    steps: int,
    damping: ScalarLike,
) -> Inexact[Array, "*lead rows cols"]:
    """dx from the directions in which amplitude and transform move."""
    free, fixed = eqx.partition(problem, eqx.is_inexact_array)
    allowed = problem.support & (x > 0) if problem.nonnegative else problem.support
    # The slope of a complex object is taken in its real and its imaginary part.
    is_complex = jnp.iscomplexobj(x)

    def split(a):
        return (a.real, a.imag) if is_complex else (a,)

    def merge(parts):
        return jax.lax.complex(*parts) if is_complex else parts[0]

    def misfit(parts, free):
        moved = eqx.combine(free, fixed)
        return 0.5 * jnp.sum((safe_abs(moved.field(merge(parts))) - moved.amplitude) ** 2)

    def slope(parts, free):
        return jax.grad(misfit)(parts, free)

    turn = split(jnp.where(allowed, 1j * x, 0)) if is_complex else None

    def project(parts):
        """Zero where a sample is not free to move, without the turn of the common phase of each example."""
        parts = tuple(jnp.where(allowed, a, 0) for a in parts)
        if turn is None:
            return parts
        along, size = (
            sum(jnp.sum(a * b, axis=(-2, -1), keepdims=True) for a, b in zip(turn, other, strict=True))
            for other in (parts, turn)
        )
        share = safe_divide(along, size)
        return tuple(a - share * b for a, b in zip(parts, turn, strict=True))

    at = split(x)

    def curvature(parts):
        parts = project(parts)
        bent = project(jax.jvp(lambda p: slope(p, free), (at,), (parts,))[1])
        return tuple(a + damping * b for a, b in zip(bent, parts, strict=True))

    pull = project(jax.jvp(lambda free: slope(at, free), (free,), (directions,))[1])

    def solve(curvature, b):
        tolerance = 10 * float(jnp.finfo(b[0].dtype).eps)
        return jax.scipy.sparse.linalg.cg(curvature, b, tol=tolerance, maxiter=steps)[0]

    step = jax.lax.custom_linear_solve(curvature, tuple(-a for a in pull), solve, symmetric=True)
    return merge(project(step))
