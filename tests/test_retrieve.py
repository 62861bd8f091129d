"""Phase retrieval: objects and holograms from amplitudes alone."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import optics
from optics import retrieve
from tests.helpers import relative

A, S, KEY = np.ones((4, 4), np.float32), np.eye(4, dtype=bool), jax.random.key(0)


def spectrum(a):
    """The centred unitary transform in float64, by scipy."""
    axes = (-2, -1)
    return scipy.fft.fftshift(scipy.fft.fft2(scipy.fft.ifftshift(np.asarray(a), axes), norm="ortho"), axes)


def square(n):
    """A square support of n of 2n samples a side, around the axis."""
    support = np.zeros((2 * n, 2 * n), bool)
    support[n // 2 : n // 2 + n, n // 2 : n // 2 + n] = True
    return support


def corner(n):
    """Half of that, which turned by 180° or shifted is another one: its objects have no twin."""
    return np.triu(np.ones((2 * n, 2 * n), bool)) & square(n)


def objects(support, count, seed=0):
    """Random non-negative objects that fill a support, and their spectral amplitudes in single precision."""
    x = np.random.default_rng(seed).random((count, *support.shape)) * support
    return x, np.abs(spectrum(x)).astype(np.float32)


@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "algorithm, options",
    [
        (retrieve.hio, dict(iterations=500, restarts=2)),
        pytest.param(retrieve.raar, dict(iterations=500, restarts=3), marks=pytest.mark.slow),
    ],
)
def test_recovers_95_per_cent_of_random_objects(algorithm, options, count):
    support = square(32)
    truth, amplitude = objects(support, count)
    result = algorithm(amplitude, support, key=KEY, **options)
    # A full square support leaves two ambiguities, none of shift: an object and the same turned by 180°
    # within the square.
    x, w = (np.asarray(a)[:, 16:48, 16:48].reshape(count, -1) for a in (result.object, truth))
    errors = np.minimum(*(np.linalg.norm(x[:, ::turn] - w, axis=1) for turn in (1, -1))) / np.linalg.norm(
        w, axis=1
    )
    assert np.sum(errors <= 1e-2) >= 0.95 * count
    np.testing.assert_allclose(
        jax.jit(retrieve.aligned_error)(result.object, truth.astype(np.float32)), errors, atol=1e-5
    )
    assert not np.any(np.asarray(result.object)[:, ~support]) and np.min(result.object) >= 0
    # An object comes with its field and with the distance of that from the measurement.
    field = spectrum(result.object)
    assert relative(result.field, field) <= 1e-6
    residual = np.linalg.norm(np.abs(field) - amplitude, axis=(1, 2)) / np.linalg.norm(amplitude, axis=(1, 2))
    np.testing.assert_allclose(result.residual, residual, atol=1e-6)
    # A small residual means that the object is right: the object need not be known for that.
    assert np.all(errors[residual < 1e-3] <= 2e-2) and np.all(residual[errors > 0.1] > 1e-3)


def test_error_reduction_never_gets_worse_and_stagnates():
    support = square(8)
    _, amplitude = objects(support, 20)
    start = objects(support, 20, seed=1)[0].astype(np.float32)
    # The count may be traced: one compilation for all.
    run = jax.jit(lambda count: retrieve.error_reduction(amplitude, support, count, start=start))
    residuals = np.stack([run(count).residual for count in (1, 2, 3, 5, 10, 30, 100, 300)])
    assert np.all(np.diff(residuals, axis=0) <= 1e-6)
    assert np.median(residuals[-1]) > 1e-3
    turns = np.exp(1j * np.angle(spectrum(start)))
    projected = np.conj(spectrum(np.conj(amplitude * turns))).real
    np.testing.assert_allclose(run(1).object, np.where(support, np.maximum(projected, 0), 0), atol=1e-5)


@pytest.mark.parametrize("algorithm", [retrieve.hio, retrieve.raar])
def test_one_step_against_the_papers(algorithm):
    # Fienup (1982), eq. 44, and Luke (2005), on complex objects in numpy's float64.
    rng = np.random.default_rng(0)
    support, beta = corner(4), 0.8
    x, a = rng.normal(size=(8, 8, 2)) @ [1, 1j], rng.random((8, 8))

    def fit(x):
        return np.fft.fftshift(
            np.fft.ifft2(
                np.fft.ifftshift(a) * np.exp(1j * np.angle(np.fft.fft2(np.fft.ifftshift(x)))), norm="ortho"
            )
        )

    y = fit(x)
    if algorithm is retrieve.hio:
        truth = np.where(support, y, x - beta * y)
    else:
        reflected = 2 * y - x
        truth = beta / 2 * ((2 * support - 1) * reflected + x) + (1 - beta) * y
    result = algorithm(
        a.astype(np.float32), support, beta, 1, polish=0, nonnegative=False, start=x.astype(np.complex64)
    )
    assert relative(result.object, truth) <= 1e-5


def test_complex_objects_of_a_support_without_a_twin():
    rng = np.random.default_rng(0)
    support = corner(8)
    truth = objects(support, 10)[0] * np.exp(2j * np.pi * rng.random((10, 16, 16)))
    amplitude = np.abs(spectrum(truth)).astype(np.float32)
    result = retrieve.hio(amplitude, support, iterations=500, restarts=8, nonnegative=False, key=KEY).object
    # A factor of modulus 1 is all that the amplitude leaves open.
    inner = np.sum(np.conj(result) * truth, axis=(1, 2), keepdims=True)
    errors = np.linalg.norm(result * inner / np.abs(inner) - truth, axis=(1, 2)) / np.linalg.norm(
        truth, axis=(1, 2)
    )
    assert np.sum(errors <= 1e-2) >= 9


def test_an_intensity_camera_with_a_retrieval_gives_the_field():
    support = corner(8)
    truth = objects(support, 4)[0]
    field = spectrum(truth)
    field = field / np.max(np.abs(field))

    def find(amplitude):
        rough = retrieve.hio(amplitude, support, iterations=500, restarts=8, key=KEY)
        return retrieve.amplitude_flow(amplitude, support, 300, momentum=0.95, start=rough.object)

    camera = optics.Intensity(find)
    result = jax.jit(lambda z: camera.field(camera.frames(z)))(jnp.asarray(field, jnp.complex64))
    assert relative(result, field) <= 1e-5


def test_gerchberg_saxton_finds_the_phase_between_two_amplitudes():
    rng = np.random.default_rng(0)
    source = (rng.random((3, 12, 12)) + 0.2) * corner(6)
    phase = 2 * np.pi * rng.random(source.shape)
    target = np.abs(spectrum(source * np.exp(1j * phase)))
    source, target, near = (
        a.astype(np.float32) for a in (source, target, phase + 0.3 * rng.normal(size=phase.shape))
    )
    run = jax.jit(lambda count: retrieve.gerchberg_saxton(source, target, count, start=near))
    residuals = np.stack([run(count).residual for count in (1, 2, 5, 20, 100, 500, 2000)])
    assert np.all(np.diff(residuals, axis=0) <= 1e-6)
    result = run(2000)
    np.testing.assert_allclose(np.abs(result.object), source, rtol=1e-5)
    assert (
        relative(
            retrieve.align(result.object, (source * np.exp(1j * phase)).astype(np.complex64)),
            source * np.exp(1j * phase),
        )
        <= 1e-2
    )


@jax.jit
def figures(field, target):
    return retrieve.uniformity(field, target), retrieve.efficiency(field, target)


@functools.cache
def spots():
    """10×10 spots, ten samples apart: the array of Di Leonardo (2007)."""
    target = np.zeros((128, 128), np.float32)
    target[19:119:10, 19:119:10] = 1
    return np.ones_like(target), target


def test_spots_against_the_published_uniformity():
    # Di Leonardo (2007), table 1: Gerchberg–Saxton has efficiency 0.94 and poor uniformity, the weighted one
    # 0.93 and 0.99.
    source, target = spots()
    uniformity, efficiency = figures(
        retrieve.gerchberg_saxton(source, target, 30, key=jax.random.key(3)).field, target
    )
    assert efficiency == pytest.approx(0.94, abs=0.02) and uniformity < 0.75
    weighted = jax.jit(
        lambda count: retrieve.weighted_gerchberg_saxton(source, target, count, key=jax.random.key(3))
    )
    assert figures(weighted(30).field, target)[0] >= 0.95
    uniformity, efficiency = figures(weighted(100).field, target)
    assert efficiency == pytest.approx(0.93, abs=0.02) and uniformity >= 0.99
    assert np.allclose(np.abs(weighted(30).object), 1, atol=1e-5)


def test_spots_of_unequal_brightness_with_held_phases():
    # Kim (2019): with the phases of the spots held the weights converge, here to spots of three brightnesses.
    source, target = spots()
    target = target * np.linspace(1, 3, 128, dtype=np.float32).round()[:, None]
    result = retrieve.weighted_gerchberg_saxton(source, target, 100, fixed_after=12, key=jax.random.key(1))
    uniformity, efficiency = figures(result.field, target)
    assert uniformity >= 0.999 and efficiency >= 0.88
    light = np.abs(np.asarray(result.field)) ** 2
    assert light[109, 59] / light[19, 59] == pytest.approx(9, rel=1e-2)


def test_uniformity_and_efficiency_by_hand():
    target = np.array([[1, 0, 2]], np.float32)
    field = jnp.asarray([[1j, 1, -1]], jnp.complex64)
    # q = 1 and 1/4; two thirds of the light are in the spots.
    np.testing.assert_allclose(figures(field, target), [1 - 0.75 / 1.25, 2 / 3], rtol=1e-6)


class Masked(eqx.Module):
    """A transform that loses light and is not unitary: a screen before and after it."""

    before: jax.Array
    after: jax.Array

    def __call__(self, a):
        return self.after * retrieve.centred_dft(self.before * a)


def masked(shape):
    rng = np.random.default_rng(2)
    return Masked(
        *(jnp.asarray((0.6 + 0.4 * rng.random(shape)) * np.exp(1j * rng.random(shape))) for _ in range(2))
    )


def test_any_linear_transform_serves():
    support = corner(4)
    x, amplitude = objects(support, 2)
    start = np.roll(x, 1, 0).astype(np.float32)
    # The optics of an ideal device is the default transform.
    ours, device = (
        retrieve.hio(amplitude, support, iterations=5, start=start, forward=f) for f in (None, optics.dft(8))
    )
    assert relative(device.object, ours.object) <= 1e-4
    # One that is not unitary: the residual still never grows, and the object is found from near it.
    forward = masked((8, 8))
    amplitude = np.abs(forward.after * spectrum(forward.before * x)).astype(np.float32)
    near = (x * (1 + 0.2 * np.random.default_rng(0).normal(size=x.shape))).astype(np.float32)
    run = jax.jit(
        lambda count, forward: (
            retrieve.error_reduction(amplitude, support, count, start=near, forward=forward).residual
        )
    )
    residuals = np.stack([run(count, forward) for count in (1, 2, 3, 10, 100)])
    assert np.all(np.diff(residuals, axis=0) <= 1e-6)
    result = retrieve.amplitude_flow(amplitude, support, 500, start=near, forward=forward)
    assert relative(result.object, x) <= 1e-3


def test_examples_do_not_mix():
    support = square(4)
    _, amplitude = objects(support, 6)
    starts = objects(support, 6, seed=5)[0].astype(np.float32)
    run = functools.partial(retrieve.hio, support=support, iterations=20)
    together = run(amplitude.reshape(2, 3, 8, 8), start=starts.reshape(2, 3, 8, 8))
    mapped = jax.vmap(lambda a, s: run(a, start=s))(amplitude, starts)
    assert together.residual.shape == (2, 3)
    assert relative(together.object.reshape(6, 8, 8), mapped.object) <= 1e-4
    # Keys may be mapped over too: two examples that are the same then start apart.
    keys = jax.random.split(KEY, 2)
    apart = jax.vmap(lambda k: run(amplitude[0], key=k))(keys).residual
    assert np.all(np.isfinite(apart)) and apart[0] != apart[1]


def test_the_best_of_several_starts_is_returned():
    support = square(4)
    _, amplitude = objects(support, 5)
    run = functools.partial(retrieve.error_reduction, amplitude, support, 30)
    single = jax.vmap(lambda key: run(key=key).residual)(jax.random.split(KEY, 40))
    best = run(key=KEY, restarts=32).residual
    # The best of 32 starts is not among the best quarter in 1 case of 10,000. Each example has its own best
    # start: the one of another example is among the best quarter in 1 case of 4.
    assert np.all(best <= np.quantile(single, 0.25, axis=0))
    assert np.all(best < 0.9 * np.median(single, axis=0))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.every(2)
def test_gradients_unrolled_implicit_and_by_finite_differences(nonnegative):
    rng = np.random.default_rng(0)
    support = corner(5)
    x = objects(support, 1)[0][0]
    x = x * (rng.random(x.shape) > 0.2) if nonnegative else x * np.exp(2j * np.pi * rng.random(x.shape))
    forward = masked((10, 10))
    # Measured with noise, so that the misfit does not vanish and some samples rest at zero.
    amplitude = np.abs(forward.after * spectrum(forward.before * x)) * (1 + 0.01 * rng.normal(size=x.shape))
    options = dict(support=support, iterations=1000, momentum=0.95, start=x, nonnegative=nonnegative)
    weight = jnp.asarray(rng.normal(size=x.shape))

    def loss(f, amplitude, before):
        # What does not depend on the turn of a complex object's phase.
        result = f(amplitude, forward=Masked(before, forward.after), **options)
        return (
            jnp.sum(weight * jnp.abs(jnp.where(result.object == 0, 1, result.object)) ** 2) + result.residual
        )

    at = (jnp.asarray(amplitude), forward.before)
    move = (jnp.asarray(rng.normal(size=x.shape)), jnp.asarray(rng.normal(size=x.shape).astype(complex)))
    implicit_loss = functools.partial(loss, retrieve.implicit_gradient(retrieve.amplitude_flow))
    unrolled = jax.jit(jax.value_and_grad(functools.partial(loss, retrieve.amplitude_flow), (0, 1)))

    @jax.jit
    def implicit(*at):
        return jax.jvp(implicit_loss, at, move)[1], jax.grad(implicit_loss, (0, 1))(*at)

    slope, gradient = implicit(*at)
    assert gradient[0].dtype == np.float64
    for a, b in zip(gradient, unrolled(*at)[1], strict=True):
        assert relative(a, b) <= 1e-6
    h = 1e-6
    plus, minus = (
        unrolled(*(a + sign * h * d for a, d in zip(at, move, strict=True)))[0] for sign in (1, -1)
    )
    assert float(slope) == pytest.approx(float(plus - minus) / (2 * h), rel=1e-5)
    # JAX gives the conjugate of what pairs with a complex direction.
    assert float(sum(jnp.sum(g * d).real for g, d in zip(gradient, move, strict=True))) == pytest.approx(
        float(slope), rel=1e-6
    )


def test_the_implicit_gradient_does_not_ask_for_the_iterations():
    # A hybrid search with a traced count has no reverse-mode gradient of its own; the object that it ends at
    # has.
    support = corner(4)
    x, amplitude = objects(support, 1)
    find = retrieve.implicit_gradient(retrieve.hio, damping=1e-6)
    run = jax.jit(
        jax.vmap(
            jax.grad(
                lambda a, s, count: jnp.sum(find(a, support, iterations=count, polish=count, start=s).object)
            ),
            (0, 0, None),
        )
    )
    near = (x * 1.01).astype(np.float32)
    slope = run(amplitude, near, 300)
    # The objects of twice the amplitude are twice as bright: Σ A ∂(Σx)/∂A = Σx.
    assert np.sum(np.asarray(slope) * amplitude) == pytest.approx(x.sum(), rel=1e-3)


@pytest.mark.parametrize(
    "algorithm, nonnegative",
    [
        (retrieve.hio, True),
        (retrieve.raar, False),
        (retrieve.amplitude_flow, True),
        (retrieve.implicit_gradient(retrieve.hio), False),
    ],
)
@pytest.mark.every(2)
def test_no_nan_gradient_in_the_dark(algorithm, nonnegative):
    support = square(2)
    start = np.zeros((4, 4), np.float32 if nonnegative else np.complex64)

    @jax.jit
    @jax.value_and_grad
    def loss(amplitude):
        result = algorithm(amplitude, support, iterations=3, start=start, nonnegative=nonnegative)
        return jnp.sum(result.object.real) + result.residual

    for amplitude in (np.zeros((4, 4), np.float32), A):
        value, slope = loss(amplitude)
        assert np.isfinite(value) and np.all(np.isfinite(slope))


def test_aligned_error_ignores_what_an_amplitude_leaves_open():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(3, 7, 8)) + 1j * rng.normal(size=(3, 7, 8))
    moved = np.stack([np.roll(w, s, (0, 1)) for w, s in zip(truth, [(0, 0), (2, 5), (6, 1)], strict=True)])
    moved[1] = np.conj(moved[1, ::-1, ::-1])
    moved = moved * np.exp(1j * np.array([0.3, 2.0, -1.0]))[:, None, None]
    # They do have the same amplitude.
    np.testing.assert_allclose(np.abs(spectrum(moved)), np.abs(spectrum(truth)), rtol=1e-6)
    align, error = jax.jit(retrieve.align), jax.jit(retrieve.aligned_error)
    assert relative(align(moved.astype(np.complex64), truth.astype(np.complex64)), truth) <= 1e-5
    real, other = truth.real.astype(np.float32), rng.normal(size=(3, 7, 8)).astype(np.float32)
    assert error(real, real).dtype == np.float32
    assert np.all(np.asarray(error(-np.roll(real, 3, -1), real)) <= 1e-6)
    assert np.all(np.asarray(error(other, real)) > 0.5)


WITH_A_SUPPORT = [retrieve.error_reduction, retrieve.hio, retrieve.raar, retrieve.amplitude_flow]


@pytest.mark.parametrize("algorithm", WITH_A_SUPPORT)
@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(amplitude=-A), "`amplitude`"),
        (dict(amplitude=A * np.nan), "`amplitude`"),
        (dict(amplitude=A * 1j), "`amplitude`"),
        (dict(amplitude=A[0]), "`amplitude`"),
        (dict(support=S[:3]), "`support`"),
        (dict(support=S & False), "`support`"),
        (
            dict(support=S.astype(float)),
            "`support` must be a boolean mask \\(rows, columns\\), got float32 of shape",
        ),
        (dict(support=S[None]), "`support` must be a boolean mask \\(rows, columns\\), got bool of shape"),
        (dict(iterations=0), "`iterations`"),
        (dict(iterations=2.5), "`iterations`"),
        (dict(key=None), "`key`"),
        (dict(start=A), "`key`"),
        (dict(key=None, start=A, restarts=2), "`restarts`"),
        (dict(restarts=0), "`restarts`"),
        (dict(key=None, start=A[:2]), "`start`"),
        (dict(key=None, start=A * 1j), "`start`"),
        (dict(forward=lambda a: a[..., 1:]), "`forward`"),
        (dict(forward=3), "`forward`"),
    ],
)
def test_refusals(algorithm, changes, message):
    with pytest.raises(ValueError, match=message):
        algorithm(**(dict(amplitude=A, support=S, iterations=2, key=KEY) | changes))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: retrieve.hio(A, S, 0.0, key=KEY), "`beta`"),
        (lambda: retrieve.hio(A, S, 2.1, key=KEY), "`beta`"),
        (lambda: retrieve.raar(A, S, 0.4, key=KEY), "`beta`"),
        (lambda: retrieve.raar(A, S, 1.1, key=KEY), "`beta`"),
        (lambda: retrieve.hio(A, S, polish=-1, key=KEY), "`polish`"),
        (lambda: retrieve.amplitude_flow(A, S, rate=0.0, key=KEY), "`rate`"),
        (lambda: retrieve.amplitude_flow(A, S, momentum=1.0, key=KEY), "`momentum`"),
        (lambda: retrieve.implicit_gradient(retrieve.gerchberg_saxton), "`f`"),
        (lambda: retrieve.implicit_gradient(3), "`f`"),
        (lambda: retrieve.implicit_gradient(retrieve.hio, steps=0), "`steps`"),
        (lambda: retrieve.implicit_gradient(retrieve.hio, damping=-1.0), "`damping`"),
        (lambda: retrieve.gerchberg_saxton(-A, A, key=KEY), "`source_amplitude`"),
        (lambda: retrieve.gerchberg_saxton(A, -A, key=KEY), "`target_amplitude`"),
        (lambda: retrieve.gerchberg_saxton(A, A[:3], key=KEY), "`source_amplitude`"),
        (
            lambda: retrieve.gerchberg_saxton(np.stack([A] * 2), np.stack([A] * 3), key=KEY),
            "must broadcast in their leading axes",
        ),
        (lambda: retrieve.gerchberg_saxton(A, A, 1.0, key=KEY), "`iterations`"),
        (lambda: retrieve.gerchberg_saxton(A, A), "`key`"),
        (lambda: retrieve.gerchberg_saxton(A, A, start=A[:2]), "`start`"),
        (lambda: retrieve.gerchberg_saxton(A, A, start=A * np.inf), "`start`"),
        (lambda: retrieve.weighted_gerchberg_saxton(A, A * 0, key=KEY), "`target_amplitude`"),
        (lambda: retrieve.weighted_gerchberg_saxton(A, A, exponent=0.0, key=KEY), "`exponent`"),
        (lambda: retrieve.weighted_gerchberg_saxton(A, A, fixed_after=0, key=KEY), "`fixed_after`"),
        (lambda: retrieve.uniformity(jnp.asarray(A), A * 0), "`target_amplitude`"),
        (lambda: retrieve.align(A, A[:2]), "`retrieved`"),
        (lambda: retrieve.aligned_error(A[0], A[0]), "`reference`"),
    ],
)
def test_refusals_of_each(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_traced_count_must_be_one_whole_number():
    with pytest.raises(ValueError, match="`iterations` must be one whole number, got float32 of shape"):
        jax.jit(lambda count: retrieve.hio(A, S, iterations=count, key=KEY).residual)(2.0)
