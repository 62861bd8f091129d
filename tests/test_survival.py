"""A run that is killed, told to stop, damaged or starved of disk: it goes on as if nothing had happened, or
says what is wrong."""

import dataclasses
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nets
from nets import data, train
from nets.config import Config
from nets.run import Checkpoints, RunFolder, RunState, read_state, write
from nets.run._environment import silent_writers
from tests.helpers import with_slow
from tests.helpers_nets import assert_same_run, command_line, lines, write_reviews

ROOT = Path(__file__).parents[1]
SMALL = dict(
    model="linear",
    shape=(4,),
    heads=1,
    epochs=2,
    batch_size=512,
    # What runs did before these options were there.
    distortion=0.0,
    best_by="accuracy",
    checkpoint_every=0.0,
    progress=False,
)
LONG = SMALL | dict(epochs=8, batch_size=128, checkpoint_every=0.05)


def start(out, cache, *more):
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    environment |= {"PYTHONPATH": str(ROOT), "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    command = [
        sys.executable,
        "-m",
        "nets.train",
        *command_line(LONG),
        "--cache",
        "None",
        "--out",
        str(out),
        *more,
    ]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


def until_it_runs(process, out):
    """Wait until a start has got so far as to open the lines of the run."""
    file = out / "metrics.jsonl"
    before = file.stat().st_mtime_ns if file.exists() else 0
    while process.poll() is None and (not file.exists() or file.stat().st_mtime_ns == before):
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run from its start to its end, and what it compiled."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert finish(start(folder / "run", folder / "cache"))[0] == 0
    return folder / "run", folder / "cache"


@pytest.mark.slow
def test_killed_at_random_moments_a_run_ends_as_if_it_had_not_been(undisturbed, tmp_path):
    (whole, cache), broken, kills = undisturbed, tmp_path / "broken", 12
    rng, killed, saving = random.Random(0), 0, 0
    # From its first line on a run takes this long; each start is killed within a share of it.
    seconds = lines(whole)[-1]["seconds"]
    while killed < kills:
        process = start(broken, cache)
        until_it_runs(process, broken)
        time.sleep(rng.uniform(0, 0.7 * seconds / kills))
        process.send_signal(signal.SIGKILL)
        error = process.communicate()[1]
        assert process.returncode in (-signal.SIGKILL, 0), error
        killed += process.returncode == -signal.SIGKILL
        saving += any("tmp" in path.name for path in (broken / "checkpoints").glob("*"))
        if process.returncode == 0:
            # It came to its end before; what is left of the kills is done to another one.
            assert_same_run(whole, broken)
            shutil.rmtree(broken)
    print(f"{killed} kills, {saving} of them while saving")
    assert finish(start(broken, cache))[0] == 0
    assert_same_run(whole, broken)


@pytest.mark.parametrize("number", with_slow([signal.SIGTERM, signal.SIGINT], [signal.SIGINT]))
def test_told_to_stop_and_then_killed_a_run_goes_on(number, undisturbed, tmp_path):
    (whole, cache), broken = undisturbed, tmp_path / "broken"
    process = start(broken, cache)
    until_it_runs(process, broken)
    time.sleep(0.3)
    process.send_signal(number)
    status, _, error = finish(process)
    assert status == 130 and error.endswith(f"is saved; the same command with --out {broken} continues\n"), (
        error
    )
    step = read_state(broken).step
    process = start(broken, cache)
    # A checkpoint of its own, and perhaps the next one half written.
    while process.poll() is None and (read_state(broken) or RunState()).step <= step:
        time.sleep(0.02)
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    status, _, error = finish(start(broken, cache))
    assert status == 0 and f"continuing {broken} at step" in error
    assert_same_run(whole, broken)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A whole run, and one that was told to stop after its first epoch."""
    folder = tmp_path_factory.mktemp("runs")
    nets.fit(Config(**SMALL, out=folder / "whole"))
    with pytest.raises(KeyboardInterrupt):
        nets.fit(Config(**SMALL, out=folder / "stopped"), observe=lambda line: "epoch" in line)
    return folder


@pytest.fixture
def stopped(runs, tmp_path):
    return shutil.copytree(runs / "stopped", tmp_path / "run")


def main(out, **changes):
    return train.main([*command_line(SMALL | changes | {"out": out}), "--cache", "None"])


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_taken(runs, stopped, capsys):
    numbers = sorted(int(path.name) for path in (stopped / "checkpoints").iterdir())
    assert len(numbers) >= 2
    for path in (stopped / "checkpoints" / str(numbers[-1])).rglob("*"):
        if path.is_file() and path.stat().st_size > 500:
            os.truncate(path, path.stat().st_size // 2)
    with open(stopped / "metrics.jsonl", "a") as file:
        file.write('{"step": 12, "tra')  # a line that was cut off
    assert main(stopped) == 0
    error = capsys.readouterr().err
    assert (
        f"checkpoints/{numbers[-1]} cannot be read" in error
        and "going back to the checkpoint before it" in error
    )
    assert (stopped / "unreadable" / str(numbers[-1])).is_dir()
    assert_same_run(runs / "whole", stopped)
    assert main(stopped) == 0
    assert f"the run in {stopped} is finished" in capsys.readouterr().err


def test_bits_that_changed_are_noticed(stopped, capsys):
    for path in (stopped / "checkpoints").glob("*/progress/metadata"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"checksum": 0}))
    assert main(stopped) == 2
    error = capsys.readouterr().err
    assert "its checksum does not match" in error and "no checkpoint of" in error.splitlines()[-1]


def test_a_checkpoint_of_older_names_and_fewer_options_is_continued(runs, stopped):
    for path in (stopped / "checkpoints").glob("*/progress/metadata"):
        state = json.loads(path.read_text())
        state |= {"seen": state.pop("epoch_sums"), "lately": state.pop("recent_sums")}
        path.write_text(json.dumps(state))
    path = stopped / "config.json"
    facts = json.loads(path.read_text())
    old = {"max_tokens": "length", "norm": "order", "overrides": "numbers", "bigrams": "pairs"}
    missing = ("unit", "best_by", "distortion")
    facts = {old.get(name, name): value for name, value in facts.items() if name not in missing}
    path.write_text(json.dumps(facts))
    assert main(stopped) == 0
    assert_same_run(runs / "whole", stopped)


def test_what_cannot_be_continued_is_refused(stopped, capsys, monkeypatch):
    kept = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}

    def refused(message, **changes):
        assert main(stopped, **changes) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1, error

    refused(
        f"`out` {stopped} holds a run of other options: `learning_rate` 0.005, now 0.1; give the same ones",
        learning_rate=0.1,
    )
    refused("`epochs` 2, now 3, `seed` 0, now 1", epochs=3, seed=1)
    with monkeypatch.context() as patch:
        digits = data.load(Config())
        other = dataclasses.replace(digits, train=digits.validation)
        patch.setattr(data, "load", lambda *_: other)
        refused("`data_path` holds other data than the run")
    with open(stopped / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(f"another process is at work in {stopped}")
    assert {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()} == kept
    (stopped / "config.json").write_text("{")
    refused("config.json cannot be read")
    with pytest.raises(ValueError, match="holds a run, and it is not to be continued"):
        nets.fit(Config(**SMALL, out=stopped, resume=False))


def move(folder):
    folder.rename(folder.with_name("moved"))


def replace(folder):
    shutil.copytree(folder, folder.with_name("moved"))
    shutil.rmtree(folder)
    folder.with_name("moved").rename(folder)


@pytest.mark.parametrize("change", [move, shutil.rmtree, replace])
@pytest.mark.every(2)
def test_a_folder_that_is_not_the_same_is_not_written_to(change, runs, stopped):
    count = len(lines(stopped))
    with pytest.raises(
        OSError, match=r"`out` .* was moved, removed or replaced while the run was at work in it"
    ):
        # The first line that is written before the folder goes; no checkpoint is being written then.
        nets.fit(
            Config(**SMALL | dict(checkpoint_every=60.0), out=stopped), observe=lambda _: change(stopped)
        )
    assert stopped.exists() == (change is replace)
    if change is replace:
        assert len(lines(stopped)) == count + 1
    if change is move:
        assert main(stopped.with_name("moved")) == 0
        assert_same_run(runs / "whole", stopped.with_name("moved"))


def test_a_line_alone_does_not_finish_a_run_and_other_cores_are_told(runs, stopped, capsys):
    with open(stopped / "metrics.jsonl", "a") as file:
        file.write('{"test_accuracy": 1.0, "best_epoch": 1}\n')
    facts = json.loads((stopped / "config.json").read_text())
    assert facts["cores"] == len(os.sched_getaffinity(0))
    (stopped / "config.json").write_text(json.dumps(facts | {"cores": 1000}))
    assert RunFolder(stopped).result() is None
    assert main(stopped) == 0
    assert (
        f"started on 1000 core(s), continued on {facts['cores']}: sums are rounded otherwise from here on"
        in capsys.readouterr().err
    )
    assert_same_run(runs / "whole", stopped)


def test_a_finished_run_with_another_result_is_tested_again(runs, tmp_path, capsys):
    whole = shutil.copytree(runs / "whole", tmp_path / "run")
    result = RunFolder(whole).result()
    text = (whole / "metrics.jsonl").read_text()
    (whole / "metrics.jsonl").write_text(
        text.replace(f'"test_accuracy": {result["test_accuracy"]}', '"test_accuracy": 1.0')
    )
    assert lines(whole)[-1]["test_accuracy"] == 1.0 and RunFolder(whole).result() is None
    assert main(whole) == 0
    assert RunFolder(whole).result() == result
    # Without its checkpoints a run is a record, and its predictions stand for its result.
    shutil.rmtree(whole / "checkpoints")
    assert RunFolder(whole).result() == result
    os.truncate(whole / "predictions.npz", 100)
    with pytest.raises(ValueError, match=r"predictions.npz must hold the arrays labels and predicted"):
        RunFolder(whole).predictions()


def test_lines_that_were_lost_or_changed_are_noticed(stopped, capsys):
    file = stopped / "metrics.jsonl"
    whole = file.read_text()
    count = len(whole.splitlines())

    def refused(content, message):
        file.write_bytes(content)
        assert main(stopped) == 2
        error = capsys.readouterr().err
        assert message in error and str(file) in error and error.count("\n") == 1, error

    half = "".join(whole.splitlines(keepends=True)[: count // 2])
    refused(
        half.encode(),
        f"must begin with the {count} lines that the last checkpoint counts, but it has {count // 2}",
    )
    refused(b"", "but it has 0; restore it, or name another folder")
    refused(whole.replace("0.", "1.", 1).encode(), "but it has others")
    refused(('{"step": 0}\n' + whole).encode(), "but it has others")
    refused(b"[1]\n" + whole.encode(), "line 1 of")
    refused(whole.encode() + b'{"a": "\xe9"}\n', "is not UTF-8 text")
    file.unlink()
    os.mkfifo(file)
    assert main(stopped) == 2 and "metrics.jsonl is no regular file" in capsys.readouterr().err


def test_the_record_of_a_checkpoint_is_compared_with_its_sum(stopped):
    state = read_state(stopped)
    for path in (stopped / "checkpoints").glob("*/progress/metadata"):
        path.write_text(path.read_text().replace('"seconds": ', '"seconds": 1'))
    assert state.epoch == 1 and read_state(stopped) is None
    with pytest.raises(ValueError, match=r"no checkpoint of .* can be read"):
        Checkpoints(stopped, writer=False, reader=True).latest()


def test_nothing_is_written_through_a_link(stopped, tmp_path, capsys):
    outside = tmp_path / "outside.txt"
    outside.write_text("kept")
    (tmp_path / ".note.txt").symlink_to(outside)
    write(tmp_path / "note.txt", "new")
    assert (tmp_path / "note.txt").read_text() == "new" and not (tmp_path / ".note.txt").exists()
    (stopped / ".lock").unlink()
    (stopped / ".lock").symlink_to(outside)
    assert main(stopped) == 2 and ".lock" in capsys.readouterr().err
    (stopped / ".lock").unlink()
    # A damaged checkpoint is not moved to where another folder is.
    (tmp_path / "elsewhere").mkdir()
    (stopped / "unreadable").symlink_to(tmp_path / "elsewhere")
    for path in (stopped / "checkpoints").glob("*/progress/metadata"):
        path.write_text("{}")
    assert main(stopped) == 2 and "must be a folder of the run, not a link" in capsys.readouterr().err
    assert outside.read_text() == "kept" and not list((tmp_path / "elsewhere").iterdir())


def test_an_export_is_whole_and_leaves_nothing_else(runs, tmp_path, monkeypatch):
    whole = shutil.copytree(runs / "whole", tmp_path / "run")
    target = whole / "export"
    target.symlink_to(tmp_path)
    with pytest.raises(ValueError, match=r"export must be a folder of the run, not a link"):
        nets.run.export(whole)
    target.unlink()

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            nets.run.export(whole)
    assert not list(target.iterdir())
    # What a process leaves that is killed outright.
    for name in (".model.safetensors", ".model.stablehlo"):
        (target / name).write_text("half")
    nets.run.export(whole)
    assert sorted(path.name for path in target.iterdir()) == ["model.safetensors", "model.stablehlo"]


def test_threads_that_cannot_write_add_nothing_to_the_error(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    closed, other = (SimpleNamespace(exc_value=RuntimeError(t)) for t in ("Event loop is closed", "other"))
    with silent_writers():
        sys.unraisablehook(closed)
        sys.unraisablehook(other)
    sys.unraisablehook(closed)
    assert told == [other, closed]


def test_a_text_run_without_its_tokenizer_is_refused(tmp_path, capsys):
    run = dict(
        data="imdb",
        data_path=write_reviews(tmp_path / "aclImdb", 16),
        model="fourier",
        shape=(4,),
        max_tokens=8,
        vocabulary=60,
    )
    nets.fit(Config(**run, batch_size=16, epochs=1, progress=False, out=tmp_path / "run"))
    finished = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    # As it was before the last line.
    (tmp_path / "run" / "metrics.jsonl").write_text("\n".join(finished[:-1]) + "\n")
    assert (
        nets.fit(Config(**run, batch_size=16, epochs=1, progress=False, out=tmp_path / "run")).keys()
        <= json.loads(finished[-1]).keys()
    )
    (tmp_path / "run" / "metrics.jsonl").write_text("\n".join(finished[:-1]) + "\n")
    tokenizer = tmp_path / "run" / "tokenizer.json"
    content = tokenizer.read_text()
    tokenizer.write_text(content[:40])
    with pytest.raises(ValueError, match="tokenizer\\.json of the run cannot be read"):
        nets.fit(Config(**run, batch_size=16, epochs=1, progress=False, out=tmp_path / "run"))
    tokenizer.unlink()
    with pytest.raises(ValueError, match="has no tokenizer"):
        nets.fit(Config(**run, batch_size=16, epochs=1, progress=False, out=tmp_path / "run"))


def test_a_disk_that_is_full(tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True
        ).returncode
    ):
        pytest.skip("no small disk can be mounted here")
    try:
        assert main(disk / "run", shape=(32,)) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert (
            "No space left on device" in error
            and "put that right, then continue with the same command: checkpoint" in error
        ), error
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        assert main(disk / "run", shape=(32,)) == 0
        assert main(tmp_path / "whole", shape=(32,)) == 0
        assert_same_run(tmp_path / "whole", disk / "run")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_best_and_the_last_two_are_kept_over_restarts(tmp_path):
    numbers = {}
    for step in range(1, 7):
        saved = Checkpoints(tmp_path)
        state = RunState(step=step, epoch=step)
        state.best = {"epoch": min(step, 2), "accuracy": 0.5, "loss": 1.0, "checkpoint": 2 * min(step, 2)}
        saved.save([{"a": np.full(2, step)}, {"b": np.ones(())}], state)
        saved.close()
        numbers[step] = list(Checkpoints(tmp_path).manager.all_steps())
    assert [sorted(n) for n in numbers.values()] == [[2], [2, 4], [4, 6], [4, 6, 8], [4, 8, 10], [4, 10, 12]]
    assert np.array_equal(RunFolder(tmp_path).weights()["a"], [2, 2])


def test_the_best_epoch_is_that_of_the_highest_accuracy_or_of_the_lowest_loss():
    epochs = [(0.8, 0.5), (0.9, 0.4), (0.9, 0.35), (0.85, 0.3), (0.85, 0.3)]
    for best_by, best in (("accuracy", 3), ("loss", 4)):
        state = RunState()
        changes = [state.add_epoch(*epoch, 2, best_by) for epoch in epochs]
        assert state.best["epoch"] == best == 1 + max(i for i, change in enumerate(changes) if change)
        assert state.stopped == (best_by == "accuracy")


@pytest.mark.slow
@pytest.mark.parametrize("best_by", ["accuracy", "loss"])
def test_patience_ends_a_run_and_the_best_epoch_is_tested(best_by, tmp_path):
    # So fast that it gets worse again.
    changes = dict(epochs=30, learning_rate=0.3, patience=2, best_by=best_by)
    final = nets.fit(Config(**SMALL | changes, out=tmp_path / "run"))
    epochs = [line for line in lines(tmp_path / "run") if "epoch" in line]
    ranks = {
        "accuracy": lambda line: (line["validation_accuracy"], -line["validation_loss"]),
        "loss": lambda line: -line["validation_loss"],
    }
    top = max(epochs, key=ranks[best_by])
    assert final["best_epoch"] == top["epoch"] == len(epochs) - 2 and len(epochs) < 30
    saved = Checkpoints(tmp_path / "run")
    assert top["step"] + top["epoch"] in saved.manager.all_steps() and len(saved.manager.all_steps()) <= 3
    saved.close()
    labels, predicted = RunFolder(tmp_path / "run").predictions()
    assert labels.dtype == np.uint8 and len(labels) == 359
    assert np.mean(labels == predicted) == pytest.approx(final["test_accuracy"])
