"""Training: the command of the README itself, the folder it leaves, and what it refuses."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

from nets import data, train
from nets.config import Config, as_json, resolve
from nets.run._build import build_model
from nets.run._checkpoint import best, filled
from nets.run._diagnose import first_not_finite
from tests import reviews


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("optimized")
def test_first_light(tmp_path):
    # What the README's first command does: 11×11 convolutional attention on the noisy engine, trained through it.
    out = tmp_path / "run"
    final = train.fit(Config(out=out, progress=False))
    assert final["test_accuracy"] >= 0.95
    written = lines(out)
    assert [line["epoch"] for line in written if "epoch" in line] == list(range(1, 16))
    assert len([line for line in written if "epoch" not in line]) >= 50
    assert written[-1]["test_accuracy"] == final["test_accuracy"]
    assert written[-2]["step"] == 15 * 41
    config = json.loads((out / "config.json").read_text())
    assert (
        config["device"] == "engine11"
        and config["shape"] == [11, 11]
        and config["versions"]["jax"]
        and config["machine"]
    )
    assert (out / "curves.png").stat().st_size > 10_000
    # The checkpoint is the network that was tested.
    fresh = build_model(resolve(Config(out=tmp_path / "other")), data.load(resolve(Config())), nnx.Rngs(1))
    nnx.update(fresh, filled(nnx.state(fresh), best(out)))
    fresh.eval()
    test = data.load(resolve(Config())).test
    right = np.mean(np.argmax(jax.jit(lambda x: fresh(x))(test.rows), -1) == test.labels)
    assert right == pytest.approx(final["test_accuracy"], abs=0.02)


@pytest.mark.parametrize(
    "changes",
    [
        dict(model="linear", shape=(12,)),
        dict(model="conv1d", shape=(12,), device="ideal"),
        dict(gradient="ideal", shape=(3, 4), device="ideal", kernel=(3, 3), depth=2),
        dict(gradient="optical", shape=(3, 4), device="ideal", spectral=True, order="pre", maps=2),
        dict(model="linear", shape=(12,), attention="narrow", patch=4),
        dict(model="lambda", shape=(12,), key_depth=4),
        dict(
            model="lambda",
            shape=(12,),
            key_depth=4,
            boundary="zero",
            normalization="layer",
            scope=3,
            device="ideal",
        ),
        dict(model="fourier", shape=(3, 4), device="ideal"),
        dict(model="lambda-resnet", shape=(4, 8), key_depth=4),
    ],
)
def test_every_arm_learns(changes, tmp_path):
    config = Config(**dict(heads=2, epochs=2, device="none", progress=False, out=tmp_path / "run") | changes)
    train.fit(config)
    first, second = (line for line in lines(tmp_path / "run") if "epoch" in line)
    assert second["train_loss"] < first["train_loss"]


def test_the_same_seed_gives_the_same_run_with_and_without_progress_bar(tmp_path, capsys):
    small = dict(model="conv2d", shape=(2, 2), heads=1, epochs=1, device="none")
    runs = [train.fit(Config(**small, out=tmp_path / str(i), progress=bool(i))) for i in range(2)]
    assert runs[0] == runs[1]
    assert "training" in capsys.readouterr().err
    assert train.fit(Config(**small, seed=1, out=tmp_path / "3", progress=False)) != runs[0]


def test_imdb_prints_the_bag_of_words_beside_its_accuracy(tmp_path, capsys):
    small = [
        "--model",
        "conv2d",
        "--shape",
        "3",
        "3",
        "--heads",
        "1",
        "--device",
        "none",
        "--length",
        "16",
        "--vocabulary",
        "60",
    ]
    assert (
        train.main(
            [
                "--data",
                "imdb",
                "--data-path",
                str(reviews.write(tmp_path / "aclImdb", 16)),
                *small,
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 0
    ), capsys.readouterr().err
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"test_accuracy", "bag_of_words_accuracy"} <= printed.keys() & lines(tmp_path / "run")[-1].keys()
    assert (tmp_path / "run" / "tokenizer.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--device", "engine12"],
            "`device` must be none or a preset, one of dmd-4f, engine11, ideal, jtc, slm-4f, slm-fast; got 'engine12'",
        ),
        (
            ["--model", "conv1d", "--device", "engine11"],
            "model conv1d has an embedding of 1×128; set `device` to ideal or none",
        ),
        (
            ["--model", "linear", "--device", "engine11"],
            "`model` linear has no convolutions; leave `device` out",
        ),
        (
            ["--model", "linear", "--kernel", "3"],
            "`kernel` says nothing to model linear; leave it out, or set `model` to conv1d or conv2d",
        ),
        (["--dropout", "0.1", "--model", "lambda-resnet"], "`dropout` says nothing to model lambda-resnet"),
        (["--length", "8"], "`length` says nothing of digits; leave it out"),
        (["--data", "imdb", "--patch", "2"], "`patch` says nothing of imdb; leave it out"),
        (["--data", "imdb", "--model", "lambda-resnet"], "`model` lambda-resnet reads images"),
        (
            ["--patch", "3"],
            "`patch` must divide the (8, 8) pixels of `image`, got (3, 3); use one of 1, 2, 4, 8 and one of 1, 2, 4, 8",
        ),
        (
            ["--model", "lambda", "--scope", "20", "--device", "none"],
            "`scope` must be at most the 16 tokens of a circular sequence, got 20",
        ),
        (
            ["--model", "lambda", "--heads", "5"],
            "`heads` must divide the 128 features, got 5; use one of 1, 2, 4, 8",
        ),
        (["--maps", "0"], "`maps` must be a whole number of at least 1, got 0"),
        (
            ["--data", "fashion-mnist", "--data-path", "nowhere"],
            "`data_path` nowhere must hold train-images-idx3-ubyte.gz",
        ),
        (
            ["--data-path", "x.tar.gz"],
            "`data_path` x.tar.gz would not be read: digits come with scikit-learn",
        ),
        (["--seed", "-1"], "`seed` must be a whole number of at least 0, got -1"),
        (
            ["--shape", "8", "16"],
            "`device` engine11 has 11×11 pixels but model conv2d has an embedding of 8×16; set `shape` to 11 11",
        ),
        (["--shape", "121"], "`shape` must have 2 number(s) for model conv2d"),
        (["--kernel", "13", "3"], "`kernel` must have between 1 and (11, 11) taps"),
        (["--patience", "0"], "`patience` must be a whole number of at least 1, got 0"),
        (["--checkpoint-every", "-1"], "`checkpoint_every` must be finite and at least 0 seconds, got -1.0"),
        (["--devices", "0"], "`devices` must be a whole number of at least 1, or all, got 0"),
        (["--accumulate", "0"], "`accumulate` must be a whole number of at least 1, got 0"),
        (
            ["--accumulate", "3"],
            "`batch_size` must be a multiple of the 3 parts of `accumulate`, got 32; use 30, for example",
        ),
        (
            ["--data", "imdb", "--weighted-pairs"],
            "`weighted_pairs` says nothing without `pairs`; give a number of them",
        ),
        (
            ["--data", "imdb", "--pair-width", "4"],
            "`pair_width` says nothing without `pairs`; give a number of them",
        ),
        (
            ["--layer-scale", "0.1"],
            "`layer_scale` must be above 0 and finite, with `order` pre; got 0.1 and `order` post",
        ),
        (
            ["--layer-scale", "0", "--order", "pre"],
            "`layer_scale` must be above 0 and finite, with `order` pre; got 0.0",
        ),
        (
            ["--model", "mean", "--layer-scale", "0.1"],
            "`layer_scale` says nothing to model mean; leave it out",
        ),
        (
            ["--no-final-norm"],
            "`final_norm` is of `order` pre: post-norm blocks end with their own; leave --no-final-norm out",
        ),
        (["--weighted-pairs"], "`weighted_pairs` says nothing of digits; leave it out"),
        (["--held-out", "neighbours"], "`held_out` says nothing of digits; leave it out"),
        (["--buckets"], "`buckets` says nothing of digits; leave it out"),
        (
            ["--data", "imdb", "--buckets", "--model", "fourier"],
            "`buckets` would change what model fourier gives",
        ),
        (
            ["--data", "imdb", "--buckets", "--model", "lambda"],
            "a circular lambda layer takes none shorter than its `scope` of 128; lower `scope`, or use `boundary` zero",
        ),
        (
            ["--data", "imdb", "--buckets", "--length", "8"],
            "`buckets` begins at 8 tokens, and `length` is 8; leave it out",
        ),
        (
            ["--precision", "mixed", "--model", "lambda-resnet"],
            "`precision` says nothing to model lambda-resnet",
        ),
        (
            ["--precision", "mixed", "--data", "imdb", "--maps", "2"],
            "`precision` mixed finds no matrix in a network that reads text with `maps`",
        ),
        (["--epochs", "0"], "`epochs` must be a whole number of at least 1, got 0"),
        (["--batch-size", "-1"], "`batch_size` must be a whole number of at least 1"),
        (["--learning-rate", "nan"], "`learning_rate` must be finite and above zero"),
        (["--dropout", "1.5"], "`dropout` must be at least 0 and below 1"),
        (
            ["--data", "imdb", "--data-path", "/no/such/archive"],
            "`data_path` /no/such/archive does not exist; give `data_path`",
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, message, tmp_path, capsys):
    assert train.main([*arguments, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_written_over(tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    assert train.main(["--out", str(tmp_path)]) == 2
    assert "is not empty; a run is never written over" in capsys.readouterr().err
    assert (tmp_path / "metrics.jsonl").read_text() == "{}\n"


def test_a_folder_that_cannot_be_written(capsys):
    assert train.main(["--out", "/dev/null/run"]) == 2
    assert "`out` /dev/null/run cannot be written: /dev/null is not a folder" in capsys.readouterr().err


def test_choices_are_checked_without_the_command_line():
    for field in ("data", "model", "gradient", "precision"):
        config = Config()
        # Set past the type checker that runs in tests only, as a user's call would be.
        object.__setattr__(config, field, "other")
        with pytest.raises(ValueError, match=f"`{field}` must be one of .*, got 'other'"):
            train.fit(config)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, capsys, monkeypatch):
    def spoiled(split, share, seed):
        rest, aside = hold_out(split, share, seed)
        return data.Split(rest.rows * np.float32(1e15), rest.labels), aside

    hold_out = data.dataset.hold_out
    monkeypatch.setattr("nets.data._digits.hold_out", spoiled)
    assert train.main(["--device", "none", "--out", str(tmp_path / "run"), "--no-progress"]) == 2
    error = capsys.readouterr().err
    assert (
        error
        == "error: activation blocks.0.attention stopped being finite at step 1; lower `learning_rate` (0.005).\n"
    )


@pytest.mark.parametrize("step", [1, 7, 14])
def test_the_step_and_the_tensor_that_stopped_being_finite_are_named(step, tmp_path, capsys, monkeypatch):
    def spoiling(*arguments):
        batch = gathered(*arguments)
        return (batch[0] * np.float32(1e30), *batch[1:]) if batch[0].tobytes() == bad else batch

    batches, gathered = data.batches, data.gathered
    order = np.random.default_rng(0)
    train_rows = data.load(resolve(Config())).train
    every = [
        batch
        for _ in range(2)
        for batch in batches(train_rows, 128, order.permutation(len(train_rows.labels)))
    ]
    bad = every[step - 1][0].tobytes()
    monkeypatch.setattr("nets.run._loop.gathered", spoiling)
    run = [
        "--model",
        "linear",
        "--shape",
        "4",
        "--heads",
        "1",
        "--epochs",
        "2",
        "--batch-size",
        "128",
        "--patch",
        "4",
    ]
    assert train.main([*run, "--order", "pre", "--out", str(tmp_path / "run"), "--no-progress"]) == 2
    assert f" stopped being finite at step {step}; lower `learning_rate`" in capsys.readouterr().err
    # What was good is kept.
    assert all(line["step"] < step for line in lines(tmp_path / "run"))


def test_the_first_tensor_that_is_not_finite():
    class Layers(nnx.Module):
        def __init__(self):
            self.first, self.second = nnx.Linear(2, 2, rngs=nnx.Rngs(0)), nnx.Linear(2, 1, rngs=nnx.Rngs(1))

        def __call__(self, x):
            return self.second(self.first(x))

    def found(loss, change=lambda model: None):
        model = Layers()
        change(model)
        return first_not_finite(model, loss)

    def scaled(factor):
        return lambda model: (model(jax.numpy.ones((3, 2))) * factor).sum()

    def spoil(model):
        model.second.kernel[...] = np.full((2, 1), np.nan, np.float32)

    def enlarge(model):
        model.first.kernel[...] = np.full((2, 2), 2e38, np.float32)

    assert found(scaled(1), spoil) == "parameter second.kernel"
    assert found(scaled(1), enlarge) == "activation first"
    assert found(scaled(np.inf)) == "the loss"
    # The root of zero is finite, its slope is not.
    assert found(lambda model: jax.numpy.sqrt(scaled(0.0)(model))).startswith("gradient first.")
    assert Layers.__call__ is vars(Layers)["__call__"] and "watched" not in Layers.__call__.__qualname__


@pytest.mark.parametrize(
    "command", [["nets.train", "--help"], ["bench", "--help"], ["bench", "fidelity", "--help"]]
)
def test_help_does_not_load_jax(command):
    code = f"import sys, runpy; sys.argv = {['x', *command[1:]]!r}\ntry:\n    runpy.run_module({command[0]!r}, run_name='__main__')\nexcept SystemExit:\n    pass\nassert 'jax' not in sys.modules, 'jax was imported'"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert "--device" in found.stdout or "fidelity" in found.stdout


def test_what_a_run_leaves_on_request(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorboardX")
    small = [
        "--model",
        "linear",
        "--shape",
        "4",
        "--heads",
        "1",
        "--epochs",
        "1",
        "--batch-size",
        "128",
        "--patch",
        "4",
        "--no-progress",
    ]
    extra = ["--profile", "--tensorboard", "--cache", str(tmp_path / "cache")]
    before = jax.config.jax_compilation_cache_dir
    assert train.main([*small, *extra, "--out", str(tmp_path / "run")]) == 0, capsys.readouterr().err
    assert list((tmp_path / "run" / "profile").rglob("*.xplane.pb"))
    (events,) = (tmp_path / "run" / "tensorboard").glob("events*")
    content = events.read_bytes()
    assert b"validation_accuracy" in content and b"test_accuracy" in content
    assert any((tmp_path / "cache").iterdir()) and jax.config.jax_compilation_cache_dir == before
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert train.main([*small, "--tensorboard", "--cache", "None", "--out", str(tmp_path / "other")]) == 2
    assert (
        '`tensorboard` needs tensorboardX; install lensformer with the extra "log"' in capsys.readouterr().err
    )
    assert not (tmp_path / "other").exists()


@pytest.fixture(autouse=True)
def cache_of_the_command(tmp_path, monkeypatch):
    """Tests keep nothing in the home of whoever runs them."""
    monkeypatch.setattr(train, "CACHE", tmp_path / "kept")


def test_config_round_trip():
    config = resolve(Config())
    assert json.loads(json.dumps(as_json(config)))["epochs"] == config.epochs
