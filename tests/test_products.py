"""Products of matrices: exact in the limit, on every device that multiplies, with all rules of gradient."""

import functools
import inspect
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from optics import effects
from optics.transfer import Bilinear, ExactProduct
from tests.helpers import relative
from tests.helpers_mapping import quick_jit
from tests.parts import MULTIPLIERS, load

NAMES = list(MULTIPLIERS)


def make(name):
    return MULTIPLIERS[name].make()


def draw(seed, *shapes, kind=float):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape) for shape in shapes]
    if kind is complex:
        arrays = [a + 1j * rng.normal(size=a.shape) for a in arrays]
    return arrays


SHAPES = [
    ((3, 5), (5, 2)),
    ((7, 11), (11, 9)),
    ((2, 3, 5), (5, 7)),
    ((3, 5), (2, 5, 7)),
    ((2, 6, 5), (2, 5, 4)),
]
SHAPES += [((2, 1, 3, 5), (4, 5, 7)), ((1, 4, 3, 5), (2, 1, 5, 7))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.every(11)
def test_matrices_of_any_size_are_multiplied(name, shapes):
    a, b = draw(0, *shapes)
    y = optics.matmul(a, b, make(name))
    exact = np.matmul(a, b)
    assert y.shape == exact.shape and y.dtype == jnp.result_type(float)
    assert relative(y, exact) < MULTIPLIERS[name].tolerance


@pytest.mark.parametrize(
    "name", [name for name in NAMES if "coherent" in name or "one" in name or "circ" in name]
)
def test_complex_numbers(name):
    a, b = draw(1, (3, 5), (5, 4), kind=complex)
    y = optics.matmul(a, b, make(name))
    assert jnp.iscomplexobj(y) and relative(y, a @ b) < MULTIPLIERS[name].tolerance
    real = optics.matmul(a, b.real, make(name))
    assert relative(real, a @ b.real) < MULTIPLIERS[name].tolerance


def drawn_dimensions(rng):
    """Two arrays, and dimension numbers that fit them."""
    batch, inner, left, right = (rng.integers(low, high) for low, high in ((0, 3), (0, 3), (0, 3), (0, 3)))
    sizes = rng.integers(1, 5, size=batch + inner + left + right)
    axes = np.arange(sizes.size)
    of_batch, of_inner, of_left, of_right = np.split(axes, np.cumsum([batch, inner, left]))
    lhs, rhs = (rng.permutation(np.concatenate(parts)).astype(int) for parts in
                ((of_batch, of_inner, of_left), (of_batch, of_inner, of_right)))  # fmt: skip

    def places(order, wanted):
        return tuple(int(np.flatnonzero(order == axis)[0]) for axis in wanted)

    numbers = (
        (places(lhs, of_inner), places(rhs, of_inner)),
        (places(lhs, of_batch), places(rhs, of_batch)),
    )
    return rng.normal(size=sizes[lhs]), rng.normal(size=sizes[rhs]), numbers


@pytest.mark.parametrize("group", range(12))
@pytest.mark.every(12)
def test_dot_general_is_that_of_jax_with_both_gradients(group):
    # Ten drawn sets of dimension numbers a group.
    rng = np.random.default_rng(group)
    names = ["balanced", "differential", "coherent", "one shot", "circulant 5×7"]
    for i in range(10):
        lhs, rhs, numbers = drawn_dimensions(rng)
        fn = optics.dot_general(make(names[i % len(names)]))
        shape = jax.eval_shape(lambda a, b, n=numbers: jax.lax.dot_general(a, b, n), lhs, rhs).shape
        arrays = [jnp.asarray(x) for x in (lhs, rhs, rng.normal(size=shape))]
        exact = functools.partial(jax.lax.dot_general, precision="highest")
        pairs = zip(*(multiply_both_ways(product, numbers, *arrays) for product in (fn, exact)), strict=True)
        for found, right in pairs:
            assert found.shape == right.shape
            np.testing.assert_allclose(found, right, atol=1e-5 * (1 + np.max(np.abs(right), initial=0)))


def multiply_both_ways(product, numbers, lhs, rhs, slope):
    """A product, and its derivatives by both factors."""

    @quick_jit
    def multiply(lhs, rhs, slope):
        y, pull = jax.vjp(lambda lhs, rhs: product(lhs, rhs, numbers), lhs, rhs)
        return y, *pull(slope)

    return multiply(lhs, rhs, slope)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.every(7)
def test_three_rules_of_gradient_agree(name):
    a, b = map(jnp.asarray, draw(2, (2, 3, 5), (5, 4)))
    device = make(name)

    def slopes(rule):
        f = optics.gradients.gradient_rule(rule)(optics.matmul)
        return jax.grad(lambda a, b: jnp.sum(jnp.sin(f(a, b, device))), (0, 1))(a, b)

    exact = jax.grad(lambda a, b: jnp.sum(jnp.sin(jnp.matmul(a, b))), (0, 1))(a, b)
    # The rules are taken at the value of the device, which differs from the exact one.
    tolerance = max(10 * MULTIPLIERS[name].tolerance, 1e-5)
    for rule in ("ideal", "optical") + (() if name == "offset, compiled" else ("simulator",)):
        for found, right in zip(slopes(rule), exact, strict=True):
            assert relative(found, right) < tolerance, rule


def test_linear_layers_of_flax_take_it():
    from flax import nnx

    device = make("coherent")
    x = jnp.asarray(draw(3, (2, 3, 6))[0])
    for layer, optical in (
        (lambda fn: nnx.Linear(6, 5, dot_general=fn, rngs=nnx.Rngs(0)), optics.dot_general(device)),
        (
            lambda fn: nnx.LinearGeneral(6, (2, 3), axis=-1, dot_general=fn, rngs=nnx.Rngs(0)),
            optics.dot_general(device),
        ),
    ):
        assert relative(layer(optical)(x), layer(jax.lax.dot_general)(x)) < 1e-5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.every(7)
def test_dark_rows_are_not_exposed(name):
    device, key = with_noise(make(name)), jax.random.key(0)
    a, b = map(jnp.asarray, draw(4, (3, 5), (5, 4)))
    assert np.all(np.asarray(optics.matmul(0 * a, b, device, key)) == 0)
    assert np.all(np.asarray(optics.matmul(a, 0 * b, device, key)) == 0)
    slopes = jax.grad(lambda a, b: jnp.sum(optics.matmul(a, b, device, key) ** 2), (0, 1))
    for pair in ((a, 0 * b), (0 * a, b), (a.at[1].set(0), b)):
        assert all(bool(jnp.all(jnp.isfinite(slope))) for slope in slopes(*pair))


def with_noise(device):
    """The device with read noise in its last stage."""
    last = device.stages()[-1]
    return device.with_stages(**{last.name: (*last.effects, effects.Read(1e-3))})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.every(5)
def test_noise_needs_a_key_and_jit_changes_nothing(name):
    device = with_noise(make(name))
    a, b = map(jnp.asarray, draw(5, (4, 5), (5, 4)))
    mean, again = optics.matmul(a, b, device), optics.matmul(a, b, make(name))
    np.testing.assert_allclose(mean, again, atol=1e-5)
    draws = [optics.matmul(a, b, device, jax.random.key(i)) for i in range(2)]
    assert relative(draws[0], draws[1]) > 1e-4
    jitted = jax.jit(optics.matmul)(a, b, device, jax.random.key(0))
    np.testing.assert_allclose(jitted, draws[0], atol=1e-4)
    several = jax.vmap(lambda key: optics.matmul(a, b, device, key))(jax.random.split(jax.random.key(1), 3))
    assert several.shape == (3, 4, 4) and len({float(y.sum()) for y in several}) == 3


def test_one_trace_for_a_sweep_and_for_new_numbers():
    traces = []

    @jax.jit
    def multiply(a, b, device, key):
        traces.append(None)
        return optics.matmul(a, b, device, key)

    a, b = draw(6, (3, 5), (5, 4))
    for seed, photons in enumerate((1e2, 1e3, 1e4)):
        camera = (effects.Shot(photons), effects.Quantize(8 + seed))
        device = optics.VectorMatrixMultiplier(
            ExactProduct((1, 5, 4)), camera=camera, headroom=1 + 0.1 * seed
        )
        multiply(a + seed, b, device, jax.random.key(seed))
    assert len(traces) == 1
    sweep = jax.jit(
        jax.vmap(
            lambda photons: multiply(
                a,
                b,
                optics.VectorMatrixMultiplier(ExactProduct((1, 5, 4)), camera=(effects.Shot(photons),)),
                jax.random.key(0),
            )
        )
    )(jnp.array([1e2, 1e4, 1e8]))
    errors = [relative(y, a @ b) for y in sweep]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]


# Optics


@pytest.mark.parametrize(
    ("shape", "width"),
    [
        ((2, 3, 3), 4),
        pytest.param((1, 5, 4), None, marks=pytest.mark.slow),
        pytest.param((5, 6, 4), 10, marks=pytest.mark.slow),
    ],
)
def test_compiled_is_the_wave(shape, width):
    lenses = optics.CrossedLenses(
        shape, 8e-6, 532e-9, width=width, fill=0.9, detector_fill=0.5, aberrations=[0, 0, 0, 0.05], shift=0.3
    )
    m, k, n = shape
    a, b = map(jnp.asarray, draw(7, (2, m, k), (k, n), kind=complex))
    field = optics.compile_crossed(lenses)(a, b)
    assert relative(field, lenses(a, b)) < 1e-5
    # As parts of devices, too.
    device = optics.VectorMatrixMultiplier if m == 1 else optics.MatrixMatrixMultiplier
    calibrated = device(lenses, optics.Coherent()).with_fitted_gains()
    compiled = optics.compile_device(calibrated)
    assert isinstance(compiled.lenses, Bilinear)
    np.testing.assert_allclose(
        optics.matmul(a[0], b, calibrated),
        optics.matmul(a[0], b, compiled),
        atol=1e-4 * np.abs(a[0] @ b).max(),
    )


def test_lenses_that_act_on_one_axis_each_are_those_of_a_plane():
    """The light on the second modulator, against a propagation of the whole plane in double precision."""
    n, pitch, wavelength = 4, 8e-6, 532e-9
    lenses = optics.CrossedLenses(
        (n, n, n), pitch, wavelength, width=n, fill=0.8, detector_fill=0.8, pupil=2.0
    )
    rows, cols = lenses.spread, lenses.first_image.lens
    f = float(cols.focal_length)
    assert np.isclose(float(rows.focal_length), 2 * f, rtol=1e-5)
    light = np.random.default_rng(8).normal(size=(n, n * n))
    expected = np.asarray(lenses.apply(lenses.first_image, lenses.apply(rows, jnp.asarray(light))))

    from optics.transfer._fourier_lens import emit_line, receive_line, transmission

    # Rows in the pitch of rows, columns in that of pixels: steps dy and dx.
    dy, dx = (float(lens.pitch) / lens.oversampling for lens in (rows, cols))
    field = np.asarray(emit_line(cols, jnp.asarray(light)[:, None, :]))[:, 0, :]
    field = np.asarray(emit_line(rows, jnp.asarray(field.T)[:, :, None]))[:, :, 0].T.astype(complex)
    fy, fx = np.fft.fftfreq(field.shape[0], dy), np.fft.fftfreq(field.shape[1], dx)
    across = np.sqrt(1 - (wavelength * fx) ** 2 - (wavelength * fy[:, None]) ** 2) - 1

    def propagate(field, z):
        return np.fft.ifft2(np.fft.fft2(field) * np.exp(2j * np.pi / wavelength * z * across))

    lens_x = np.asarray(transmission(cols)).reshape(1, -1)
    lens_y = np.asarray(transmission(rows)).reshape(-1, 1)
    field = propagate(field, f) * lens_x
    field = propagate(field, f) * lens_y
    field = propagate(field, f) * lens_x
    field = propagate(field, f)
    seen = np.asarray(receive_line(cols, jnp.asarray(field)[:, None, :], reverse=True))[:, 0, :]
    seen = np.asarray(receive_line(rows, jnp.asarray(seen.T)[:, :, None]))[:, :, 0].T
    # The phases that references take out, one for each transform.
    seen = seen * np.exp(0.25j * np.pi) ** 3
    # What is left out is of fourth order in the angles, which are up to 0.1 here.
    assert relative(expected, seen) < 2e-3


def test_whole_periods_are_the_condition():
    """Rows are orthogonal where each ramp has whole periods over an element, and not otherwise."""
    a, b = draw(9, (4, 4), (4, 4))
    errors = {}
    for spacing in (1.0, 0.75):
        lenses = optics.CrossedLenses(
            (4, 4, 4), 8e-6, 532e-9, width=16, cycles=[spacing * (i - 2) for i in range(4)]
        )
        device = optics.MatrixMatrixMultiplier(optics.compile_crossed(lenses)).with_fitted_gains()
        errors[spacing] = relative(optics.matmul(a, b, device), a @ b)
    assert errors[1.0] < 0.06 < 0.2 < errors[0.75]


def test_units_of_a_one_shot_bench_are_a_vmap():
    shifts = jax.jit(jax.vmap(lambda key: load_bench(key).lenses.coupling))(
        jax.random.split(jax.random.key(0), 2)
    )
    assert relative(shifts[0], shifts[1]) > 1e-3


def load_bench(unit):
    return optics.presets.load("tensor-bench", unit=unit, size=2)


def test_a_camera_alone_sees_products_that_are_not_negative():
    lenses = optics.compile_crossed(optics.CrossedLenses((3, 3, 3), 8e-6, 532e-9, width=6))
    modulus = optics.Intensity(lambda amplitude: amplitude)
    device = optics.MatrixMatrixMultiplier(lenses, modulus).with_fitted_gains()
    a, b = np.random.default_rng(16).uniform(size=(2, 3, 3))
    assert relative(device.matmul(jnp.asarray(a), jnp.asarray(b)), a @ b) < 0.1


def test_ramps_of_few_levels_and_a_shifted_modulator_cost_accuracy():
    a, b = draw(10, (4, 4), (4, 4))

    def error(**options):
        lenses = optics.CrossedLenses((4, 4, 4), 8e-6, 532e-9, width=16, **options)
        device = optics.MatrixMatrixMultiplier(optics.compile_crossed(lenses)).with_fitted_gains()
        return relative(optics.matmul(a, b, device), a @ b)

    assert error() < error(shift=1.0) < error(shift=4.0)
    # With two levels a ramp of one period and its mirror image are the same.
    assert error(phase_bits=1) > 5 * error(phase_bits=6) and abs(error(phase_bits=10) - error()) < 2e-3


def test_gradient_to_the_shift_of_a_modulator(x64):
    lenses = optics.CrossedLenses((1, 2, 2), 8e-6, 532e-9)
    a, b = map(jnp.asarray, draw(11, (1, 2), (2, 2)))

    @jax.jit
    def loss(shift):
        field = optics.compile_crossed(eqx.tree_at(lambda lenses: lenses.shift, lenses, shift))(a, b)
        return jnp.sum(field.real**2 + 0.5 * field.imag)

    slope, step = jax.grad(loss)(0.4), 1e-4
    assert abs(slope / ((loss(0.4 + step) - loss(0.4 - step)) / (2 * step)) - 1) < 1e-5


def test_light_between_neighbours_interferes():
    """|√a + √b|², not a + b: one source on two open elements whose images overlap."""
    coupling = np.array([[1.0, 0.2], [0.2, 1.0]])[None, None]
    optics_of_two = Bilinear(coupling, np.ones((1, 1)), np.ones((1, 1)))
    device = optics.VectorMatrixMultiplier(optics_of_two, signs="balanced")
    y = optics.matmul([[1.0, 0.0]], [[1.0], [1.0]], device)
    np.testing.assert_allclose(y, [[1.2**2]], rtol=1e-5)


# Noise


@pytest.mark.parametrize("photons", [1e2, 1e4])
def test_shot_noise_of_a_vector_matrix_product(photons):
    """The variance is that of Poisson counts: the sum times full scale over its photons."""
    k, headroom = 64, 1.05
    a, b = np.random.default_rng(12).uniform(size=(2, k))
    device = optics.VectorMatrixMultiplier(
        ExactProduct((1, k, 1)), camera=(effects.Shot(photons, exact=True),), headroom=headroom
    )
    keys = jax.random.split(jax.random.key(0), 4000)
    draws = np.asarray(
        jax.jit(jax.vmap(lambda key: optics.matmul(a[None], b[:, None], device, key)))(keys)
    ).ravel()
    full_scale = headroom * a.sum() * b.max()
    assert abs(draws.mean() / (a @ b) - 1) < 5 * math.sqrt(full_scale / photons / (a @ b) / 4000)
    assert abs(draws.var() / ((a @ b) * full_scale / photons) - 1) < 5 * math.sqrt(2 / 4000)


def test_noise_of_both_modulators_is_held_for_all_rows():
    gain = effects.LaserNoise(0.05)
    device = optics.MatrixMatrixMultiplier(ExactProduct((2, 3, 2)), slm_a=(gain,))
    a, b = map(jnp.asarray, draw(13, (5, 2, 3), (3, 2)))
    exact = np.matmul(a, b)
    ratios = np.asarray(device.matmul(a, b, jax.random.key(0))) / exact
    # One draw of the laser for each of the five exposures.
    assert np.ptp(ratios, axis=(1, 2)).max() < 1e-4 < np.ptp(ratios[:, 0, 0])


def test_exposures_are_counted():
    a, b = jnp.ones((7, 5)), jnp.ones((5, 4))
    counts = {
        name: optics.accounting.count(lambda device, key: optics.matmul(a, b, device, key), make(name))
        for name in ("balanced", "offset", "differential", "coherent", "one shot", "circulant 5×7")
    }
    exposures = {name: count.exposures for name, count in counts.items()}
    # Rows of either sign; rows; tiles of 3×4×5 for 7×5×4; three transforms of 5×7 for tiles of 2×5×2.
    assert exposures["balanced"] == 14 and exposures["offset"] == exposures["differential"] == 7
    assert exposures["coherent"] == 7 and exposures["one shot"] == 3 * 2 * 1
    assert counts["balanced"].dac == 14 * 5 + 2 * 5 * 4 and counts["balanced"].adc == 14 * 2 * 4
    # The matrix is written once for all rows.
    for name in ("coherent", "differential"):
        assert counts[name].dac == 7 * 5 + 5 * 4 and counts[name].adc == 7 * 4
    costs = optics.accounting.price(counts["coherent"], "integrated")
    assert costs.joules > 0


@pytest.mark.parametrize("kind", ["coherent", "differential", "one shot"])
def test_slices_have_more_bits_than_the_modulators(kind):
    signed = (effects.Quantize(4, signed=True),)
    if kind == "one shot":
        device = optics.MatrixMatrixMultiplier(ExactProduct((3, 5, 4)), slm_a=signed, slm_b=signed)
    elif kind == "coherent":
        device = optics.VectorMatrixMultiplier(
            ExactProduct((1, 5, 4)), optics.Coherent(), sources=signed, slm=signed
        )
    else:
        device = optics.VectorMatrixMultiplier(
            ExactProduct((1, 5, 4)), signs="differential", sources=signed, slm=signed
        )
    a, b = draw(15, (2, 6, 10), (10, 7))
    errors = [
        relative(optics.matmul(a, b, optics.mapping.SlicedMultiplier(device, 4, slices)), a @ b)
        for slices in (1, 2, 3)
    ]
    assert errors[0] > 0.02 and errors[1] < errors[0] / 8 and errors[2] < errors[1] / 6
    slope = jax.grad(lambda a: optics.matmul(a, b, optics.mapping.SlicedMultiplier(device, 4, 2)).sum())
    assert relative(slope(jnp.asarray(a)), np.broadcast_to(b.sum(1), a.shape)) < 0.2


# Refusals

PLANE = np.ones((4, 4))
ENGINE = load("ideal", pixels=4)
LINE = ExactProduct((1, 4, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: optics.matmul(PLANE, PLANE, ENGINE),
            "`device` FourierProcessor has no product of matrices of its own, only a transform and a "
            r"convolution; `optics.CirculantMultiplier\(device\)` makes one of convolutions",
        ),
        (lambda: optics.dot_general(ENGINE), "`device`.*product of matrices"),
        (lambda: optics.dot_general("stanford"), "`device`"),
        (lambda: optics.dot_general(make("balanced"), gradient="exact"), "`gradient`"),
        (
            lambda: optics.dot_general(make("balanced"))(
                np.ones((2, 2), int), PLANE, (((1,), (0,)), ((), ()))
            ),
            "`lhs`.*integers",
        ),
        (lambda: optics.matmul(PLANE, np.ones((3, 4))), "`a` and `b` must agree in the inner axis"),
        (lambda: optics.matmul(np.ones((2, 4, 4)), np.ones((3, 4, 4))), "`a` and `b` must broadcast"),
        (lambda: optics.matmul(np.ones(4), PLANE), r"`a` must have at least two axes.*`a\[None, :\]`"),
        (lambda: optics.matmul(PLANE, PLANE, make("balanced"), 3), "`key`"),
        (lambda: optics.convolve(PLANE, PLANE, make("balanced")), "`x` has planes|no convolution"),
        (
            lambda: make("balanced").convolve(jnp.eye(4), jnp.eye(4)),
            "VectorMatrixMultiplier has no convolution",
        ),
        (
            lambda: make("one shot").matmul(jnp.ones((4, 4)), jnp.ones((4, 5))),
            r"`a` and `b` of 4×4 and 4×5 are too large for the modulators of MatrixMatrixMultiplier, which "
            r"multiply 3 rows of 4 numbers by 4×5; `optics.matmul\(a, b, device\)` divides them into tiles",
        ),
        (
            lambda: make("balanced").matmul(jnp.ones((9, 6)), jnp.ones((6, 4))),
            "too large.*any number of rows",
        ),
        (lambda: optics.matmul(1j * PLANE, PLANE, make("balanced")), "`a` and `b` must be real"),
        (lambda: optics.CirculantMultiplier(make("balanced")), "`engine` must convolve"),
        (lambda: optics.CirculantMultiplier("engine11"), "`engine`"),
        (lambda: optics.mapping.SlicedMultiplier(ENGINE, 8), "`multiplier` must multiply matrices"),
        (lambda: optics.mapping.SlicedMultiplier(make("balanced"), 1), "`bits`"),
        (lambda: optics.mapping.SlicedMultiplier(make("balanced"), 8, 0), "`slices`"),
        (lambda: optics.Devices(ENGINE, ENGINE), "`matmul` must be a device with a method `matmul`"),
        (
            lambda: optics.Devices(make("balanced"), make("balanced")),
            "`convolve` must be a device with a method",
        ),
        (lambda: optics.Devices(None, make("balanced")), "`convolve`"),
        (lambda: optics.VectorMatrixMultiplier(ExactProduct((2, 4, 4))), "`lenses` must have one row"),
        (lambda: optics.VectorMatrixMultiplier(optics.dft(4)), "`lenses`"),
        (lambda: optics.VectorMatrixMultiplier(LINE, signs="both"), "`signs`"),
        (
            lambda: optics.VectorMatrixMultiplier(LINE, slm=(effects.Extinction(10.0),)),
            "`slm` cannot hold Extinction: it acts on fields",
        ),
        (
            lambda: optics.VectorMatrixMultiplier(LINE, sources=(effects.Quantize(8, signed=True),)),
            "`sources` cannot hold Quantize: its powers are not signed",
        ),
        (
            lambda: optics.VectorMatrixMultiplier(LINE, camera=(effects.BalancedShot(1e3),)),
            "`camera` cannot hold BalancedShot: the frames of photodiodes are not signed",
        ),
        (lambda: optics.VectorMatrixMultiplier(LINE, headroom=0.5), "`headroom`"),
        (lambda: optics.VectorMatrixMultiplier(LINE, input_gain=np.ones(3)), "`input_gain`"),
        (lambda: optics.MatrixMatrixMultiplier(LINE, output_gain=np.ones(3)), "`output_gain`"),
        (lambda: optics.MatrixMatrixMultiplier(LINE, slm_a=(effects.Read(1.0),)), "`slm_a`"),
        (lambda: optics.MatrixMatrixMultiplier("tensor-bench"), "`lenses`"),
        (lambda: optics.CrossedLenses((4, 4, 4), 8e-6, 532e-9, width=3), "`width`"),
        (
            lambda: optics.CrossedLenses((2, 4, 4), 8e-6, 532e-9, cycles=[0, 0.3]),
            "`cycles` must be multiples of 1/4",
        ),
        (lambda: optics.CrossedLenses((2, 4, 4), 8e-6, 532e-9, cycles=[0, 2]), "`cycles` must differ modulo"),
        (lambda: optics.CrossedLenses((2, 4, 4), 8e-6, 532e-9, width=4, cycles=[0, 3]), "`cycles` must lie"),
        (lambda: optics.CrossedLenses((2, 4, 4), 8e-6, 532e-9, cycles=[0]), "`cycles`"),
        (lambda: optics.CrossedLenses((2, 4), 8e-6, 532e-9), "`shape`"),
        (lambda: optics.CrossedLenses((2, 4, 4), -8e-6, 532e-9), "`pitch`"),
        (lambda: optics.CrossedLenses((2, 4, 4), 8e-6, 532e-9, phase_bits=0), "`phase_bits`"),
        (lambda: optics.compile_crossed(optics.dft(4)), "`lenses`"),
        (lambda: optics.transfer.Relay(optics.dft(4)), "`lens`"),
        (
            lambda: optics.transfer.Relay(optics.FourierLens(4, 8e-6, 532e-9)),
            "`lens` must have one row or one",
        ),
        (lambda: Bilinear(np.ones((1, 1, 2, 2)), np.ones(2), np.ones((2, 2))), "`spread`"),
        (lambda: Bilinear(np.ones((1, 1, 2, 2)), np.ones((1, 2)), np.ones((3, 3))), "`image`"),
        (lambda: optics.optical_gradient(optics.accounting.count), "`f` must be `optics.convolve`"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_two_devices_are_one_value():
    engine, multiplier = ENGINE, make("coherent")
    devices = optics.Devices(convolve=engine, matmul=multiplier)
    x, w = draw(14, (4, 4), (4, 4))
    np.testing.assert_array_equal(optics.convolve(x, w, devices), optics.convolve(x, w, engine))
    np.testing.assert_array_equal(optics.transform(x, devices), optics.transform(x, engine))
    np.testing.assert_array_equal(optics.matmul(x, w, devices), optics.matmul(x, w, multiplier))
    assert devices.supports(optics.AbstractDevice.transform) and devices.supports(
        optics.AbstractDevice.matmul
    )
    names = [stage.name for stage in devices.stages()]
    assert names == [
        "convolver_slm", "convolver_camera", "multiplier_sources", "multiplier_slm", "multiplier_camera"
    ]  # fmt: skip
    noisy = devices.with_stages(multiplier_camera=(effects.Read(0.1),))
    assert noisy.multiplier.camera and not noisy.convolver.camera
    counts = optics.accounting.count(lambda device, key: optics.matmul(x, w, device, key), devices)
    assert counts.exposures == 4


def test_signatures_are_those_of_jax():
    own = list(inspect.signature(optics.dot_general(make("balanced"))).parameters)
    theirs = list(inspect.signature(jax.lax.dot_general).parameters)
    assert own == theirs[: len(own)] and len(own) == 6
