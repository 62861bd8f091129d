"""Command lines: every wrong number, type or size, and every wrong environment, is one line and exit status
2."""

import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

import nets
from bench.__main__ import main as bench_main
from nets import evaluate, export, train
from nets.config import Config, check_memory, run_command
from nets.run import RunFolder
from nets.run._environment import compilation_cache, remove_oldest
from tests.helpers_nets import write_reviews

ROOT = Path(__file__).parents[1]
HUGE = str(10**20)


def refuse(main, arguments, capsys):
    """The one line that a command prints when it refuses its arguments."""
    start = time.process_time()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    # Nothing of that size was allocated or computed.
    assert time.process_time() - start < 30
    return error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", HUGE], "`seed` must be a whole number from 0 to 4,294,967,295"),
        (["--unit", HUGE], "`unit` must be a whole number from 0"),
        (["--set", "photons=1e400"], "`photons`"),
        (["--set", "photons=1e308"], "`photons`"),
        (["--set", f"photons={'9' * 5000}"], "`photons`"),
        (["--shape", "0", "11"], "`shape` must be one or more whole numbers from 1 to 65,536"),
        (["--shape", "100000", "100000"], "`shape` must be one or more whole numbers"),
        (["--kernel", "-1"], "`kernel` must be one or more whole numbers"),
        (["--heads", "100000"], "`heads` must be a whole number from 1 to 65,536"),
        (["--depth", HUGE], "`depth` must be a whole number from 1 to 1,000"),
        (["--epochs", HUGE], "`epochs` must be a whole number from 1 to 1,000,000"),
        (["--patch", HUGE], "`patch` must be a whole number"),
        (["--max-examples", HUGE], "`max_examples` must be a whole number"),
        (["--accumulate", HUGE], "`accumulate` must be a whole number"),
        (["--patience", HUGE], "`patience` must be a whole number"),
        (["--devices", HUGE], "`devices` must be a whole number of at least 1, or all"),
        (["--processes", HUGE], "`processes` must be a whole number"),
        (["--process", "-1"], "`process` must be a whole number from 0"),
        (["--learning-rate", "1e400"], "`learning_rate` must be finite and above zero, got inf"),
        (["--checkpoint-every", "nan"], "`checkpoint_every` must be finite and at least 0 seconds, got nan"),
        (["--model", "mean", "--batch-size", "1000000000"], "`batch_size` 1000000000 needs at least"),
        (
            ["--model", "linear", "--shape", "65536", "--heads", "65536"],
            "`features` 65536 needs .* GiB for the weights",
        ),
    ],
)
def test_numbers_that_no_run_can_have(arguments, message, tmp_path, capsys):
    error = refuse(train.main, [*arguments, "--out", str(tmp_path / "run"), "--cache", "None"], capsys)
    assert re.search(re.escape(message).replace(r"\.\*", ".*"), error), error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vocabulary", str(10**13)], "`vocabulary` must be a whole number from 1 to 1,048,576"),
        (["--max-tokens", str(10**9)], "`max_tokens` must be a whole number from 1 to 65,536"),
        (["--bigrams", str(10**12)], "`bigrams` must be a whole number"),
        (["--bigrams", str(2**31 - 1), "--bigram-width", "65536"], "`bigrams` must be a whole number"),
        (
            ["--bigrams", "9", "--bigram-width", HUGE],
            "`bigram_width` must be a whole number from 1 to 65,536",
        ),
        (["--token-dropout", "1e400"], "`token_dropout` must be at least 0 and below 1, got inf"),
    ],
)
def test_numbers_that_no_run_on_text_can_have(arguments, message, tmp_path, capsys):
    reviews = write_reviews(tmp_path / "aclImdb", 16)
    text = ["--data", "imdb", "--data-path", str(reviews), "--model", "mean", "--shape", "4"]
    error = refuse(train.main, [*text, *arguments, "--out", str(tmp_path / "run"), "--cache", "None"], capsys)
    assert message in error


def test_texts_that_fill_more_than_the_memory_are_refused():
    with pytest.raises(
        ValueError, match=r"`max_tokens` 9 needs at least 1,024.0 GiB for texts, but there are"
    ):
        check_memory("max_tokens", 9, 2**40, "texts")
    check_memory("max_tokens", 9, 2**20, "texts")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ("null", "config.json cannot be read (it must be an object, got None)"),
        ("[1]", "config.json cannot be read (it must be an object, got [1])"),
        ("{", "config.json cannot be read"),
        ("[" * 100_000, "config.json cannot be read"),
        ('{"shape": 3}', "config.json: `shape` must be whole numbers, got 3"),
        ('{"numbers": 3}', "config.json: `overrides` must be texts, got 3"),
        (
            '{"data": "../x"}',
            "config.json: `data` must be one of digits, imdb, imdb-bytes, listops, pixels, fashion-mnist, "
            "reviews, text, got '../x'",
        ),
        ('{"seed": 1e300}', "config.json: `seed` must be a whole number, got 1e+300"),
        ('{"learning_rate": NaN}', "config.json: `learning_rate` must be finite and above zero, got nan"),
        ('{"model": ["mean"]}', "config.json: `model` must be one of"),
        ('{"heads": true}', "config.json: `heads` must be a whole number, got True"),
        ('{"data_path": {}}', "config.json: `data_path` must be a path, got {}"),
    ],
)
def test_records_that_are_none(facts, message, tmp_path, capsys):
    (tmp_path / "config.json").write_text(facts)
    for main in (evaluate.main, export.main):
        assert message in refuse(main, [str(tmp_path)], capsys)
    if "config.json: " not in message:
        assert message in refuse(train.main, ["--out", str(tmp_path), "--cache", "None"], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", HUGE], "`seed` must be a whole number"),
        (["--units", HUGE], "`units` must be a whole number from 1 to 10,000"),
        (["--units", "2", "--seed", str(2**32 - 1)], "`unit` must be a whole number"),
        (["--sweep", "photons=1e400"], "`photons`"),
        (["--sweep", "photons=a"], "`sweep` must be NAME=V1,V2"),
    ],
)
def test_numbers_that_no_evaluation_can_have(arguments, message, tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"device": "engine11"}))
    assert message in refuse(evaluate.main, [str(tmp_path), *arguments], capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fidelity", "--seed", HUGE], "`seed` must be a whole number from 0 to 4,294,967,295"),
        (["accuracy", "--seed", "-1"], "`seed` must be a whole number"),
        (["experiments", "--seeds", "0", HUGE], "`seeds` must be whole numbers from 0 to 4,294,967,295"),
        (["studies", "--units", HUGE], "`units` must be a whole number from 1 to 10,000"),
    ],
)
def test_numbers_that_no_measurement_can_have(arguments, message, capsys):
    assert message in refuse(bench_main, arguments, capsys)


def test_what_a_machine_cannot_do_is_one_line(capsys, monkeypatch):
    def end(error):
        def command():
            raise error

        return run_command(command), capsys.readouterr().err

    assert end(MemoryError("Unable to allocate 298. GiB")) == (
        2,
        "error: there is not enough memory for these options (Unable to allocate 298. GiB); choose smaller "
        "sizes.\n",
    )
    full = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating")
    assert end(full)[0] == 2
    assert end(OverflowError("too large"))[1] == (
        "error: a number among the options is too large (too large); choose a smaller one.\n"
    )
    assert end(KeyboardInterrupt("step 3 is saved")) == (130, "stopped: step 3 is saved\n")
    assert end(OSError("two\nlines"))[1] == "error: two lines\n"
    # A fault of the program stays one.
    for fault in (RuntimeError("a fault"), AssertionError(), KeyError("a")):
        with pytest.raises(type(fault)):
            end(fault)


def test_a_platform_without_a_device_is_named(tmp_path):
    environment = os.environ | {"JAX_PLATFORMS": "cuda", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "nets.train", "--cache", "None", "--out", str(tmp_path / "run")]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode == 0:
        pytest.skip("this machine has such a device")
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith("error: `JAX_PLATFORMS` cuda names no device")


@pytest.mark.parametrize("command", ["nets.train", "nets.evaluate", "bench"])
def test_help_is_shown_in_ascii(command):
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    process = subprocess.run([sys.executable, "-m", command, "--help"], env=environment, capture_output=True)
    assert process.returncode == 0 and b"usage" in process.stdout.lower(), process.stderr


def test_a_folder_that_the_environment_cannot_name(tmp_path, capsys):
    # What Python makes of an umlaut where it expects ASCII.
    out = str(tmp_path / os.fsdecode(b"l\xe4ufe"))
    error = refuse(train.main, ["--out", out, "--cache", "None"], capsys)
    assert "has letters that this environment cannot name" in error and "PYTHONUTF8=1" in error


def test_programs_that_others_could_replace_are_not_run(tmp_path, capsys, monkeypatch):
    run = ["--out", str(tmp_path / "run"), "--cache"]
    cache = tmp_path / "cache"
    cache.write_text("a file")
    assert refuse(train.main, [*run, str(cache)], capsys) == (
        f"error: `cache` {cache} must be a folder, but it is a file; name another one, or leave --cache "
        "out.\n"
    )
    cache.unlink()
    cache.mkdir()
    for mode in (0o777, 0o775, 0o757):
        cache.chmod(mode)
        error = refuse(train.main, [*run, str(cache)], capsys)
        assert "that nobody else can write to" in error and f"chmod go-w {cache}" in error
    cache.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: cache.stat().st_uid + 1)
        assert "must be a folder that you own" in refuse(train.main, [*run, str(cache)], capsys)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with compilation_cache(cache):
            assert jax.config.jax_compilation_cache_dir != str(cache)
        assert capsys.readouterr().err == f"`cache` {cache} cannot be written: nothing is stored there\n"
    with compilation_cache(tmp_path / "a" / "new"):
        assert stat.S_IMODE((tmp_path / "a" / "new").stat().st_mode) == 0o700
        jax.jit(lambda x: x * 3 + 1)(2.0)
        assert list((tmp_path / "a" / "new").glob("*-cache"))
    assert not (tmp_path / "run").exists()


def test_the_oldest_programs_are_removed(tmp_path):
    for i in range(5):
        path = tmp_path / f"{i}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (i, i))
    (tmp_path / "notes.txt").write_bytes(bytes(1000))
    remove_oldest(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3-cache", "4-cache", "notes.txt"]


def test_other_promotions_of_numbers_do_not_stop_a_run(tmp_path):
    tiny = dict(model="linear", shape=(4,), heads=1, batch_size=512, patch=4, epochs=1, progress=False)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        nets.fit(Config(**tiny, out=tmp_path / "läufe"))
        assert nets.run.evaluate(tmp_path / "läufe")[0]["accuracy"] > 0
    assert RunFolder(tmp_path / "läufe").result()["best_epoch"] == 1
