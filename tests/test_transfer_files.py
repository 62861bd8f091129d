"""Compiled transfers on disk: the same numbers again, another file for anything else, and no damaged ones."""

import functools
import os
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optics
from nets.config import Config, resolve
from nets.run import _environment as environment
from nets.run import build_device, build_population
from nets.run._environment import compilation_cache
from optics import FourierLens, MaskedFFT, compile_transfer
from optics.transfer import _compile

SMALL = dict(pitch=127e-6, wavelength=1.55e-6, fill=0.5, detector_fill=0.5)
PANEL = dict(pitch=17e-6, wavelength=1.064e-6, fill=0.9, detector_fill=0.8)


@pytest.fixture
def compilations(monkeypatch):
    """A list that holds an entry for each lens that is compiled, and not read."""
    lenses = []
    for name in ("_compile_one", "_compile_modes"):
        compile_lens = getattr(_compile, name)

        def compile_and_count(lens, *options, compile_lens=compile_lens):
            lenses.append(lens)
            return compile_lens(lens, *options)

        monkeypatch.setattr(_compile, name, compile_and_count)
    return lenses


@pytest.fixture
def made_masks(monkeypatch):
    """Masks made in a moment, in the place of those of a lens, which take seconds; of a residual of 0.1."""

    def make(lens, terms, tolerance):
        shape = (2, *lens.shape)
        return MaskedFFT(lens.fill * jnp.ones(shape), 1j * jnp.arange(40.0).reshape(shape), None, 0.1)

    monkeypatch.setattr(_compile, "compile_masked", make)


def _assert_equal(transfer, expected):
    assert jax.tree.structure(transfer) == jax.tree.structure(expected)
    for leaf, other in zip(*map(jax.tree.leaves, (transfer, expected)), strict=True):
        assert leaf.dtype == other.dtype
        np.testing.assert_array_equal(leaf, other)


@pytest.mark.parametrize(
    "lens",
    [
        lambda: FourierLens(3, **SMALL),
        lambda: FourierLens((5, 4), **PANEL),
        lambda: optics.illuminate(FourierLens(3, **SMALL), optics.light.line(1.55e-6, 2e-9, modes=2)),
    ],
)
@pytest.mark.usefixtures("made_masks")
def test_a_transfer_is_read_as_it_was_written(lens, tmp_path, compilations):
    folder = tmp_path / "new" / "folder"
    first = compile_transfer(lens(), tolerance=0.5, folder=folder)
    count = len(compilations)
    _assert_equal(compile_transfer(lens(), tolerance=0.5, folder=str(folder)), first)
    assert len(compilations) == count > 0 and len(list(folder.iterdir())) == 1
    assert isinstance(first, MaskedFFT) == (lens().shape == (5, 4))


@pytest.mark.usefixtures("made_masks")
def test_a_run_compiles_anew_where_its_cache_cannot_be_used(tmp_path, compilations, capsys):
    config = resolve(Config(device="engine11", shape=(3, 3), cache=tmp_path))
    device = build_device(config)
    (file,) = (tmp_path / environment.TRANSFERS).iterdir()
    file.write_bytes(file.read_bytes()[:200])
    before = len(compilations)
    _assert_equal(build_device(config).transfer, device.transfer)
    assert len(compilations) == before + 1
    message = capsys.readouterr().err
    assert message.startswith("`cache` holds") and "damaged" in message
    assert message.endswith("Lenses are compiled anew, and not kept.\n")


@pytest.mark.slow
def test_row_and_column_products_are_read_as_they_were_written(tmp_path, compilations, monkeypatch):
    # Smaller than any that compile to products by themselves: those take seconds.
    monkeypatch.setattr(_compile, "LARGEST_DENSE", 2)
    lens = FourierLens(3, **SMALL, oversampling=4)
    first = compile_transfer(lens, terms=2, folder=tmp_path)
    assert isinstance(first, optics.Separable)
    _assert_equal(compile_transfer(lens, terms=2, folder=tmp_path), first)
    assert len(compilations) == 1


def test_anything_else_is_compiled_anew(tmp_path, compilations, monkeypatch):
    lens = FourierLens(2, **SMALL)
    compile_transfer(lens, folder=tmp_path)
    # The next number of single precision.
    pitch = np.nextafter(np.float32(127e-6), np.float32(1))
    for other, options in (
        (FourierLens(2, **SMALL | dict(pitch=pitch)), {}),
        (FourierLens(2, **SMALL, profile=optics.wave.spherical_lens), {}),
        (FourierLens(2, **SMALL, aberrations=[0.0]), {}),
        (lens, dict(terms=1)),
        (lens, dict(tolerance=1e-3)),
    ):
        before = len(compilations)
        compile_transfer(other, folder=tmp_path, **options)
        assert len(compilations) == before + 1
    # A change of the code, or of the package's version.
    monkeypatch.setattr("optics.transfer._transfer_files._code", lambda: "other")
    before = len(compilations)
    compile_transfer(lens, folder=tmp_path)
    assert len(compilations) == before + 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"PK" + content[2:200],
        lambda content: bytes(
            [byte ^ 1 if 300 <= place < 302 else byte for place, byte in enumerate(content)]
        ),
        lambda content: np.lib.format.magic(1, 0) + content[8:],
    ],
    ids=["half", "empty", "short", "flipped", "one array"],
)
def test_a_damaged_file_is_refused_in_one_line(damage, tmp_path):
    lens = FourierLens(2, **SMALL)
    compile_transfer(lens, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        ValueError, match=r"^`folder` holds .*\.npz, which is damaged \(.*\); delete"
    ) as error:
        compile_transfer(lens, folder=tmp_path)
    assert "\n" not in str(error.value)
    path.unlink()
    _assert_equal(compile_transfer(lens, folder=tmp_path), compile_transfer(lens))


@pytest.mark.slow
def test_every_flipped_byte_of_the_numbers_is_found(tmp_path):
    lens = FourierLens(1, **SMALL)
    first = compile_transfer(lens, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    refusals = 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            _assert_equal(compile_transfer(lens, folder=tmp_path), first)
        except ValueError as error:
            refusals += 1
            assert "is damaged" in str(error)
    assert refusals > 0.7 * len(range(0, len(content), 7))


def test_a_file_of_another_lens_is_refused(tmp_path):
    for pixels in (1, 2):
        compile_transfer(FourierLens(pixels, **SMALL), folder=tmp_path / str(pixels))
    (one,), (two,) = (list((tmp_path / str(pixels)).iterdir()) for pixels in (1, 2))
    one.write_bytes(two.read_bytes())
    with pytest.raises(ValueError, match=r"is damaged .it is of another lens."):
        compile_transfer(FourierLens(1, **SMALL), folder=tmp_path / "1")


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(file, **arrays):
        file.write(b"part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(ValueError, match=r"`folder` .* cannot be written: No space left on device"):
        compile_transfer(FourierLens(2, **SMALL), folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("made_masks")
def test_what_compilation_says_is_said_of_a_file_too(tmp_path):
    lens = FourierLens((5, 4), **PANEL)
    compile_transfer(lens, folder=tmp_path)
    with pytest.warns(UserWarning, match=r"`lens` leaves a residual of 0.1 with 2 terms, above `tolerance`"):
        compile_transfer(lens, folder=tmp_path)


@pytest.mark.slow
def test_a_compiled_panel_is_read_as_it_was_written(tmp_path, compilations):
    lens = FourierLens((20, 24), **PANEL, aberrations=[0, 0, 0, 0, 0, 0, 0, 0.03])
    first = compile_transfer(lens, folder=tmp_path)
    _assert_equal(compile_transfer(lens, folder=tmp_path), first)
    assert len(compilations) == 1 and isinstance(first, MaskedFFT)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda folder: jax.jit(
                lambda pitch: compile_transfer(FourierLens(2, pitch, 1e-6), folder=folder).matrix
            )(1e-5),
            "`folder` must be None under jit or grad: the `pitch` of a traced lens",
        ),
        (
            lambda folder: compile_transfer(
                FourierLens(2, **SMALL, profile=lambda *plate, **at: optics.wave.lens(*plate, **at)),
                folder=folder,
            ),
            "`folder` must be None with a `profile` of your own",
        ),
        (
            lambda folder: compile_transfer(FourierLens(2, **SMALL), folder=__file__),
            r"`folder` must be a folder, or the name of a new one, and .*\.py is a file",
        ),
        (lambda folder: compile_transfer(FourierLens(2, **SMALL), folder=3), "`folder` must be the path of"),
    ],
)
def test_refusals(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)


def test_a_folder_that_cannot_be_written_is_told_before_the_lens_is_compiled(tmp_path, compilations):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`folder`"):
        compile_transfer(FourierLens(2, **SMALL), folder=tmp_path / "file" / "folder")
    assert compilations == []


def test_a_profile_or_a_class_of_its_own_is_no_other(tmp_path, compilations):
    @functools.wraps(optics.wave.lens)
    def half(*arguments, **options):
        return 0.5 * optics.wave.lens(*arguments, **options)

    class Other(FourierLens):
        pass

    compile_transfer(FourierLens(2, **SMALL), folder=tmp_path)
    with pytest.raises(ValueError, match="`folder` must be None with a `profile` of your own"):
        compile_transfer(FourierLens(2, **SMALL, profile=half), folder=tmp_path)
    compile_transfer(Other(2, **SMALL), folder=tmp_path)
    assert len(compilations) == 2


def test_a_lens_that_is_known_is_kept_under_jit_too(tmp_path, compilations):
    lens = FourierLens(2, **SMALL)
    for _ in range(2):
        compiled = jax.jit(
            lambda: compile_transfer(lens, terms=np.int64(1), folder=tmp_path)(jnp.ones((2, 2)))
        )
        np.testing.assert_allclose(compiled(), compile_transfer(lens)(jnp.ones((2, 2))), atol=1e-6)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ValueError, match="`folder` must be None where `tolerance` is traced"):
        jax.jit(lambda t: compile_transfer(lens, tolerance=t, folder=tmp_path)(jnp.ones((2, 2))))(1e-3)


@pytest.mark.parametrize(
    "name, lenses", [("engine11", 1), pytest.param("led-correlator", 2, marks=pytest.mark.slow)]
)
def test_a_preset_is_compiled_once(name, lenses, tmp_path, compilations):
    unit = jax.random.key(3)
    first = optics.presets.load(name, unit, folder=tmp_path, pixels=3)
    count = len(compilations)
    assert count > 0 and len(list(tmp_path.glob("*.npz"))) == lenses
    _assert_equal(optics.presets.load(name, unit, folder=str(tmp_path), pixels=3), first)
    assert len(compilations) == count
    # What is kept is what is compiled without a folder, up to rounding.
    without = optics.presets.load(name, unit, pixels=3)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), without, first)


def test_a_device_is_compiled_once(tmp_path, compilations):
    device = optics.FourierProcessor(FourierLens(3, **SMALL))
    first = optics.compile_device(device, folder=tmp_path)
    _assert_equal(optics.compile_device(device, folder=tmp_path), first)
    assert len(compilations) == 1
    _assert_equal(first.transfer, compile_transfer(device.transfer))


@pytest.mark.parametrize("level", ["compiled", "wave"])
def test_a_preset_refuses_a_folder_that_cannot_be_written(level, tmp_path, compilations):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"`folder` .* cannot be (read|written)"):
        optics.presets.load("engine11", level=level, folder=tmp_path / "file" / "folder", pixels=3)
    with pytest.raises(ValueError, match=r"`folder` .* cannot be (read|written)"):
        optics.compile_device(
            optics.FourierProcessor(FourierLens(3, **SMALL)), folder=tmp_path / "file" / "folder"
        )
    with pytest.raises(ValueError, match="`folder` must be None under jit or grad"):
        jax.jit(lambda unit: optics.presets.load("engine11", unit, folder=tmp_path, pixels=3).peak)(
            jax.random.key(0)
        )
    assert not compilations


def test_a_run_keeps_its_lens_beside_its_programs(tmp_path, compilations):
    options = dict(model="conv2d", device="engine11", unit=1, shape=(3, 3))
    config = resolve(Config(**options, cache=tmp_path / "cache"))
    # Nothing is kept where nothing can be: no folder, or one that is not there.
    build_device(replace(config, cache=None))
    device = build_device(config)
    assert len(compilations) == 2 and not list(tmp_path.iterdir())
    with compilation_cache(config.cache):
        for _ in range(2):
            _assert_equal(build_device(config), device)
        assert len(compilations) == 3
        assert len(list((tmp_path / "cache" / "transfers").glob("*.npz"))) == 1
        # Units of a population are drawn in one program, whose lenses have no numbers to look for.
        build_population(config, jax.random.split(jax.random.key(0), 2))
        count = len(compilations)
        _assert_equal(build_device(config), device)
        assert len(compilations) == count


def test_the_oldest_lenses_of_runs_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "TRANSFER_BYTES", 250)
    folder = tmp_path / "transfers"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.npz").write_bytes(bytes(100))
        os.utime(folder / f"{i}.npz", (i, i))
    with compilation_cache(tmp_path):
        assert sorted(path.name for path in folder.iterdir()) == ["3.npz", "4.npz"]
