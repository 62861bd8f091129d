"""Training: the command of the README itself, the folder it leaves, and what it refuses."""

import dataclasses
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from flax import nnx

import nets
from nets import data, train
from nets.config import Config, as_config, as_json, resolve
from nets.run import build_model, first_not_finite, load_weights
from tests.helpers import with_slow
from tests.helpers_nets import lines, write_reviews

TINY = ["--model", "linear", "--shape", "4", "--heads", "1"]
TINY += ["--batch-size", "128", "--patch", "4", "--no-progress"]


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize(("epochs", "accuracy"), [(2, 0.5), pytest.param(40, 0.978, marks=pytest.mark.slow)])
def test_first_light(epochs, accuracy, tmp_path):
    # What the README's first command does: 11×11 convolutional attention on the noisy engine, trained through
    # it.
    out = tmp_path / "run"
    final = nets.fit(Config(epochs=epochs, out=out, progress=False))
    assert final["test_accuracy"] >= accuracy
    written = lines(out)
    assert [line["epoch"] for line in written if "epoch" in line] == list(range(1, epochs + 1))
    assert len([line for line in written if "epoch" not in line]) >= 50
    assert written[-1]["test_accuracy"] == final["test_accuracy"]
    assert written[-2]["step"] == epochs * 41
    config = json.loads((out / "config.json").read_text())
    assert (
        config["device"] == "engine11"
        and config["shape"] == [11, 11]
        and config["versions"]["jax"]
        and config["machine"]
    )
    assert (out / "curves.png").stat().st_size > 10_000
    # The checkpoint is the network that was tested.
    dataset = data.load(Config())
    fresh = build_model(resolve(Config()), dataset, nnx.Rngs(1))
    load_weights(fresh, out)
    fresh.eval()
    test = dataset.test
    right = np.mean(np.argmax(jax.jit(lambda x: fresh(x))(test.rows), -1) == test.labels)
    assert right == pytest.approx(final["exact_test_accuracy"])
    assert right == pytest.approx(final["test_accuracy"], abs=0.02)


ARMS = [
    dict(model="linear", shape=(12,)),
    dict(gradient="optical", shape=(3, 4), device="ideal", spectral=True, norm="pre", feedforward_maps=2),
    dict(model="lambda", shape=(12,), key_depth=4),
]
# Layers that have tests of their own, in the same loop.
MORE_ARMS = [
    dict(model="conv1d", shape=(12,), device="ideal"),
    dict(gradient="ideal", shape=(3, 4), device="ideal", kernel=(3, 3), depth=2),
    dict(model="linear", shape=(12,), attention="narrow", patch=4),
    ARMS[2] | dict(boundary="zero", normalization="layer", scope=3, device="ideal"),
    dict(model="fourier", shape=(3, 4), device="ideal"),
    dict(model="lambda-resnet", shape=(4, 8), key_depth=4),
]


@pytest.mark.parametrize("changes", with_slow(ARMS + MORE_ARMS, MORE_ARMS))
@pytest.mark.every(2)
def test_every_arm_learns(changes, tmp_path):
    config = Config(**dict(heads=2, epochs=2, device="none", progress=False, out=tmp_path / "run") | changes)
    nets.fit(config)
    first, second = (line for line in lines(tmp_path / "run") if "epoch" in line)
    assert second["train_loss"] < first["train_loss"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_with_and_without_progress_bar(tmp_path, capsys):
    small = dict(model="conv2d", shape=(2, 2), heads=1, epochs=1, device="none")
    runs = [nets.fit(Config(**small, out=tmp_path / str(i), progress=bool(i))) for i in range(2)]
    assert runs[0] == runs[1]
    assert "training" in capsys.readouterr().err
    assert nets.fit(Config(**small, seed=1, out=tmp_path / "3", progress=False)) != runs[0]


def test_imdb_prints_its_baselines_beside_its_accuracy(tmp_path, capsys):
    run = ["--data", "imdb", "--model", "conv2d", "--shape", "3", "3", "--heads", "1"]
    run += ["--device", "none", "--max-tokens", "16", "--vocabulary", "60"]
    reviews = write_reviews(tmp_path / "aclImdb", 16)
    assert train.main([*run, "--data-path", str(reviews), "--out", str(tmp_path / "run")]) == 0, (
        capsys.readouterr().err
    )
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    expected = {"test_accuracy", "bag_of_words_accuracy", "nbsvm_accuracy"}
    assert expected <= printed.keys() & lines(tmp_path / "run")[-1].keys()
    assert (tmp_path / "run" / "tokenizer.json").exists()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("--device engine12", "device"),
        ("--model conv1d --device engine11", "device"),
        ("--shape 8 16", "device"),
        ("--model linear --device engine11", "model"),
        ("--data imdb --model lambda-resnet", "model"),
        ("--dropout 0.1 --model lambda-resnet", "dropout"),
        ("--dropout 1.5", "dropout"),
        ("--max-tokens 8", "max_tokens"),
        ("--data imdb --patch 2", "patch"),
        ("--patch 3", "patch"),
        ("--model lambda --scope 20 --device none", "scope"),
        ("--model lambda --heads 5", "heads"),
        ("--feedforward-maps 0", "feedforward_maps"),
        ("--data fashion-mnist --data-path nowhere", "data_path"),
        ("--data imdb --data-path /no/such/archive", "data_path"),
        ("--data-path x.tar.gz", "data_path"),
        ("--seed -1", "seed"),
        ("--shape 121", "shape"),
        ("--kernel 13 3", "kernel"),
        ("--patience 0", "patience"),
        ("--checkpoint-every -1", "checkpoint_every"),
        ("--devices 0", "devices"),
        ("--accumulate 0", "accumulate"),
        ("--accumulate 3", "batch_size"),
        ("--batch-size -1", "batch_size"),
        ("--data imdb --weighted-bigrams", "weighted_bigrams"),
        ("--weighted-bigrams", "weighted_bigrams"),
        ("--data imdb --bigram-width 4", "bigram_width"),
        ("--layer-scale 0.1", "layer_scale"),
        ("--layer-scale 0 --norm pre", "layer_scale"),
        ("--model mean --layer-scale 0.1", "layer_scale"),
        ("--no-final-norm", "final_norm"),
        ("--validation-split neighbours", "validation_split"),
        ("--buckets", "buckets"),
        ("--data imdb --buckets --model fourier", "buckets"),
        ("--data imdb --buckets --model lambda", "buckets"),
        ("--data imdb --buckets --max-tokens 8", "buckets"),
        ("--precision mixed --model lambda-resnet", "precision"),
        ("--precision mixed --data imdb --feedforward-maps 2", "precision"),
        ("--epochs 0", "epochs"),
        ("--learning-rate nan", "learning_rate"),
        ("--init-from /nowhere", "init_from"),
        ("--max-examples 5000", "max_examples"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, name, tmp_path, capsys):
    assert train.main([*arguments.split(), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: `{name}`") and error.count("\n") == 1, error
    assert not (tmp_path / "run").exists()


def test_a_refusal_names_the_flag_that_helps(capsys):
    assert train.main(["--model", "linear", "--kernel", "3"]) == 2
    assert capsys.readouterr().err == (
        "error: `kernel` has no effect with `model` linear; leave --kernel out, or set --model to conv1d or "
        "conv2d.\n"
    )


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
            nets.fit(config)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, capsys, monkeypatch):
    digits = data.load(Config())
    spoiled = data.Split(digits.train.rows * np.float32(1e30), digits.train.labels)
    monkeypatch.setattr(data, "load", lambda *_: dataclasses.replace(digits, train=spoiled))
    assert train.main(["--device", "none", "--out", str(tmp_path / "run"), "--no-progress"]) == 2
    assert capsys.readouterr().err == (
        "error: activation blocks.0.attention stopped being finite at step 1; "
        "lower `learning_rate` (0.005).\n"
    )


@pytest.mark.parametrize("step", with_slow([1, 7, 14], (1, 14)))
def test_the_step_and_the_tensor_that_stopped_being_finite_are_named(step, tmp_path, capsys, monkeypatch):
    def spoiling(*arguments):
        rows, labels, weights = make_batch(*arguments)
        return (rows * np.float32(1e30) if rows.tobytes() == bad else rows), labels, weights

    make_batch, order = data.make_batch, np.random.default_rng(0)
    training = data.load(Config()).train
    orders = [order.permutation(len(training.labels)) for _ in range(2)]
    batches = [rows for order in orders for rows, _, _ in data.batches(training, 128, order)]
    bad = batches[step - 1].tobytes()
    monkeypatch.setattr(data, "make_batch", spoiling)
    assert train.main([*TINY, "--epochs", "2", "--norm", "pre", "--out", str(tmp_path / "run")]) == 2
    assert f" stopped being finite at step {step}; lower `learning_rate`" in capsys.readouterr().err
    # What was good is kept.
    assert all(line["step"] < step for line in lines(tmp_path / "run"))


def test_the_first_tensor_that_is_not_finite():
    class Layers(nnx.Module):
        def __init__(self):
            self.first, self.second = nnx.Linear(2, 2, rngs=nnx.Rngs(0)), nnx.Linear(2, 1, rngs=nnx.Rngs(1))

        def __call__(self, x):
            return self.second(self.first(x))

    def name(loss, change=lambda model: None):
        model = Layers()
        change(model)
        return first_not_finite(model, loss)

    def scaled(factor):
        return lambda model: (model(jax.numpy.ones((3, 2))) * factor).sum()

    def spoil(model):
        model.second.kernel[...] = np.full((2, 1), np.nan, np.float32)

    def enlarge(model):
        model.first.kernel[...] = np.full((2, 2), 2e38, np.float32)

    assert name(scaled(1), spoil) == "parameter second.kernel"
    assert name(scaled(1), enlarge) == "activation first"
    assert name(scaled(np.inf)) == "the loss"
    # The root of zero is finite, its slope is not.
    assert name(lambda model: jax.numpy.sqrt(scaled(0.0)(model))).startswith("gradient first.")
    assert Layers.__call__ is vars(Layers)["__call__"] and "watched" not in Layers.__call__.__qualname__


@pytest.mark.parametrize(
    "command",
    [
        ["nets.train", "--help"],
        ["nets.evaluate", "--help"],
        ["nets.export", "--help"],
        ["nets.generate", "--help"],
        ["bench", "--help"],
        ["bench", "fidelity", "--help"],
    ],
)
def test_help_does_not_load_jax(command):
    code = f"""
import runpy, sys
sys.argv = {["x", *command[1:]]!r}
try:
    runpy.run_module({command[0]!r}, run_name="__main__")
except SystemExit:
    pass
assert "jax" not in sys.modules, "jax was imported"
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    assert "--device" in process.stdout or "fidelity" in process.stdout


def test_what_a_run_leaves_on_request(tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorboardX")
    small = [*TINY, "--epochs", "1"]
    extra = ["--profile", "--log-to", "tensorboard", "--cache", str(tmp_path / "cache")]
    before = jax.config.jax_compilation_cache_dir
    assert train.main([*small, *extra, "--out", str(tmp_path / "run")]) == 0, capsys.readouterr().err
    assert list((tmp_path / "run" / "profile").rglob("*.xplane.pb"))
    (events,) = (tmp_path / "run" / "tensorboard").glob("events*")
    content = events.read_bytes()
    assert b"validation_accuracy" in content and b"test_accuracy" in content
    assert any((tmp_path / "cache").iterdir()) and jax.config.jax_compilation_cache_dir == before
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    other = ["--log-to", "tensorboard", "--cache", "None", "--out", str(tmp_path / "other")]
    assert train.main([*small, *other]) == 2
    assert "`log_to` tensorboard needs tensorboardX, which is not installed" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.fixture(autouse=True)
def cache_of_the_command(tmp_path, monkeypatch):
    """Tests keep nothing in the home of whoever runs them."""
    monkeypatch.setattr(train, "DEFAULT_CACHE", tmp_path / "cache_of_the_command")


def test_config_round_trip():
    config = resolve(Config(overrides=("photons=10",), kernel=(3, 3)))
    assert as_config(json.loads(json.dumps(as_json(config)))) == config
    assert resolve(config) == config


def test_runs_that_were_recorded_under_other_names_are_read():
    old = {"data": "imdb", "length": 64, "order": "pre", "pairs": 100, "numbers": ["photons=10"], "spread": 1}
    expected = Config(data="imdb", max_tokens=64, norm="pre", bigrams=100, overrides=("photons=10",))
    assert as_config(old) == expected


def test_help_shows_ranges_and_conditions(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(SystemExit):
        train.main(["--help"])
    shown = capsys.readouterr().out
    scope = "only with --model lambda, lambda-resnet or long-conv; default: None"
    assert f"(a whole number from 1 to 65,536; {scope})" in shown
    assert "--set NAME=VALUE" in shown and "only with --bigrams;" in shown
