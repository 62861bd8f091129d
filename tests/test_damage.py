"""Damaged files: bits that changed, files cut off, sizes that are absurd, links and pipes. Each is refused by
its name or read as it was; none is read as something else, and none is waited for.

Formats without a sum of their content (plain tar, npy, HDF5, text) cannot know that a pixel or a digit
changed; there the damage is done to what they do know.
"""

import gzip
import io
import json
import os
import resource
import shutil
import signal
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import imageio.v3
import numpy as np
import pytest
import tifffile

from bench.training import plans
from nets.config import Config, resolve
from nets.data import _imdb as imdb
from nets.run import Checkpoints, RunFolder, RunState, read_state
from nets.run._folder import check_folders
from nets.run._writer import RunWriter
from optics import records

RNG = np.random.default_rng(0)
AS_IT_WAS = "read as it was"
SECONDS = 10  # after which a case counts as hanging
MEGABYTES = 500  # that all cases of a kind may take together


class Case(NamedTuple):
    """A damaged file, and how it is read.

    Arguments:
        name: what was done to which file.
        read: reads it.
        expected: what else but a refusal may come back, by what that is.
        names: text of which one has to stand in a refusal.
    """

    name: str
    read: Callable[[], Any]
    expected: dict[str, Any]
    names: tuple[str, ...]


class Hanging(BaseException):
    """A case that takes too long."""


@contextmanager
def no_hanging():
    def stop(number, frame):
        raise Hanging

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def as_it_was(value: Any) -> dict[str, Any]:
    """The outcomes of a case that may be read as it was, unless that is None."""
    return {} if value is None else {AS_IT_WAS: value}


def flip(content: bytes, bit: int) -> bytes:
    """The bytes with one bit changed."""
    return content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]


def flips(content: bytes, count: int, first: int = 0, last: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Copies with one bit changed, at random places from byte `first` to byte `last`."""
    last = len(content) if last is None else last
    for bit in RNG.choice(np.arange(8 * first, 8 * last), min(count, 8 * (last - first)), replace=False):
        yield f"bit {bit}", flip(content, int(bit))


def cuts(content: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    """Copies that end early."""
    for length in np.linspace(0, len(content) - 1, count).astype(int):
        yield f"first {length} bytes", content[:length]


def no_files(folder: Path, target: Path) -> Iterator[str]:
    """Put things of other kinds in the place of a file, one after the other."""
    for kind in ("pipe", "folder", "dangling link", "loop", "link to zeros", "link to text"):
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(target)
        elif kind == "folder":
            target.mkdir()
        else:
            (folder / "text").write_text("text\n")
            places = {"dangling link": "nowhere", "loop": target.name, "link to zeros": "/dev/zero"}
            target.symlink_to(places.get(kind, str(folder / "text")))
        yield kind


def archives(folder: Path) -> Iterator[Case]:
    """Archives of reviews."""
    texts = [
        (f"aclImdb/{split}/{side}/{i}_1.txt", f"{side} {i} of {split}. " * (5 + i))
        for split in ("train", "test")
        for side in ("pos", "neg")
        for i in range(9)
    ]

    def pack(more: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, text in texts:
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
            for member in more:
                archive.addfile(member)
        return stream.getvalue()

    plain = pack()
    packed = gzip.compress(plain)
    path = folder / "whole.tar"
    path.write_bytes(plain)
    whole = imdb.read(path, False)
    assert len(whole["train"][0]) == 18

    def case(name: str, content: bytes, expected: Any = whole) -> Case:
        path = folder / "reviews.tar.gz"
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return Case(name, lambda: imdb.read(path, False), as_it_was(expected), (str(path),))

    for name, content in [*flips(packed, 60), *cuts(packed, 25)]:
        yield case(f"packed, {name}", content, whole if "bit" in name else None)
    for start in range(0, 10):  # headers begin at each second block
        for name, content in flips(plain, 3, 1024 * start, 1024 * start + 256):
            yield case(f"plain, {name}", content)
    for name, content in cuts(plain[: plain.rstrip(b"\0").rfind(b"t") + 600], 25):
        yield case(f"plain, {name}", content, None)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE):
        member = tarfile.TarInfo("aclImdb/train/pos/99_1.txt")
        member.type, member.linkname = kind, "/etc/passwd"
        yield case(f"a member of type {kind}", pack((member,)))
    for kind in (tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        for size in (2**31, 2**36, 8**11 - 1):
            member = tarfile.TarInfo("aclImdb/train/pos/99_1.txt")
            member.type, member.size = kind, size
            header = member.tobuf(tarfile.GNU_FORMAT)
            yield case(f"{size} bytes of type {kind}", gzip.compress(header + bytes(2**20)), None)
    yield case("zeros", gzip.compress(bytes(2**26)), None)
    target = folder / "reviews.tar.gz"
    for kind in no_files(folder, target):
        yield Case(kind, lambda: imdb.read(target, False), {}, (str(target), "data_path"))


def frames(folder: Path) -> Iterator[Case]:
    """Files of frames."""
    counts = RNG.integers(1, 4095, (4, 9, 11), dtype=np.uint16)
    one, stack = ((part / 4095).astype(np.float32) for part in (counts[:1], counts))

    def case(kind: str, name: str, content: bytes, expected: Any = None) -> Case:
        path = folder / f"frames.{kind}"
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return Case(
            f"{kind}, {name}",
            lambda: records.read_frames(path, 12),
            as_it_was(expected),
            (str(path), path.name),
        )

    imageio.v3.imwrite(folder / "one.png", counts[0])
    tifffile.imwrite(folder / "stack.tif", counts, photometric="minisblack")
    tifffile.imwrite(folder / "packed.tif", counts, photometric="minisblack", compression="zlib")
    np.save(folder / "stack.npy", counts)
    with h5py.File(folder / "stack.h5", "w") as file:
        node = file.create_dataset("frames", data=counts, chunks=counts.shape, fletcher32=True)
        chunk = node.id.get_chunk_info(0)
    png, tif, packed, npy, hdf5 = (
        (folder / name).read_bytes()
        for name in ("one.png", "stack.tif", "packed.tif", "stack.npy", "stack.h5")
    )
    for name, content in [*flips(png, 60), *cuts(png, 20)]:
        yield case("png", name, content, one)
    with tifffile.TiffFile(folder / "packed.tif") as file:
        strips = [(page.dataoffsets[0], page.databytecounts[0]) for page in file.pages]
    for start, length in strips:
        for name, content in flips(packed, 6, start, start + length):
            yield case("tif", f"packed, {name}", content, stack)
    # The last byte of a file may be there to fill it up.
    for name, content in [*cuts(tif, 25), *cuts(packed, 25)]:
        yield case("tif", name, content, stack)
    for name, content in [*flips(npy, 60, 0, 128), *cuts(npy, 15), ("longer", npy + b"\0")]:
        yield case("npy", name, content, stack)
    for name, content in flips(hdf5, 15, chunk.byte_offset, chunk.byte_offset + chunk.size):
        yield case("h5", name, content, stack)
    for name, content in cuts(hdf5, 15):
        yield case("h5", name, content)
    # Sizes that the file cannot hold, with the right sum.
    for width, height in ((2**31 - 1, 2**31 - 1), (0, 9), (2**16, 2**16), (12, 9)):
        data = struct.pack(">II", width, height) + png[24:29]
        header = b"IHDR" + data
        content = png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]
        yield case("png", f"claims {width}×{height}", content)
    for colours in ((9, 11, 2), (9, 11, 3), (9, 11, 4)):
        stream = io.BytesIO()
        imageio.v3.imwrite(stream, np.full(colours, 9, np.uint8), extension=".png")
        yield case("png", f"shape {colours}", stream.getvalue())
    for shape in ((10**6, 10**6, 100), (2**63, 2, 2), (-1, 9, 11), (4, 9, 12), (4, 9, 11, 1), ()):
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {"descr": "<u2", "fortran_order": False, "shape": shape})
        yield case("npy", f"claims {shape}", stream.getvalue() + counts.tobytes())
    for kind in ("|O", "<c8", "<U4", "<M8[s]", "|V2"):
        stream = io.BytesIO()
        header = {"descr": kind, "fortran_order": False, "shape": counts.shape}
        np.lib.format.write_array_header_1_0(stream, header)
        yield case("npy", f"type {kind}", stream.getvalue() + counts.tobytes())
    for kind in ("png", "tif", "npy", "h5"):
        target = folder / f"other.{kind}"
        for what in no_files(folder, target):
            yield Case(f"{kind}, {what}", lambda: records.read_frames(target, 12), {}, (target.name,))


def tables(folder: Path) -> Iterator[Case]:
    """Tables of phases."""
    numbers = [f"{2 * np.pi * k / 256:.6f}" for k in range(256)]
    content = "\n".join(numbers).encode()
    path = folder / "table.csv"

    def case(name: str, content: bytes) -> Case:
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return Case(name, lambda: records.read_table(path), {}, (str(path), "`levels`"))

    for letter in (b"x", b"\xff", b"\0"):
        for place in RNG.choice(len(content), 12, replace=False):
            damaged = content[:place] + letter + content[place + 1 :]
            yield case(f"byte {place} is {letter}", damaged)
    for line in RNG.choice(256, 15, replace=False):
        yield case(f"without line {line}", "\n".join(numbers[:line] + numbers[line + 1 :]).encode())
    for word in ("nan", "inf", "1e999", "-1e999", "1 2 3", "0x10", "1,2,3"):
        yield case(f"a line {word}", "\n".join([*numbers[:9], word, *numbers[10:]]).encode())
    yield case("binary", bytes(range(256)) * 40)
    yield case("17 MiB", b"0\n" * (17 * 2**19))
    for kind in no_files(folder, path):
        if kind != "link to text":
            yield Case(kind, lambda: records.read_table(path), {}, (str(path),))


def run_folder(folder: Path) -> Path:
    """The folder of a finished run with two checkpoints, whose network was not trained."""
    config = resolve(Config(epochs=2, batch_size=512, out=folder / "run"))
    writer, checkpoints = RunWriter(config, {"shards": 1}, {}), Checkpoints(config.out)
    state = RunState()
    for epoch in (1, 2):
        for step in range(3):
            writer.log({"step": 3 * epoch + step, "train_loss": 2.0 / (epoch + step)})
            state.lines, state.lines_checksum, state.step = state.lines + 1, writer.checksum, state.step + 1
        state.add_epoch(0.5 + epoch / 10, 1.0 / epoch, None)
        arrays = [{"a": np.full(40, epoch, np.float32)}, {"m": np.arange(9.0) * epoch}]
        checkpoints.save(arrays, state)
    checkpoints.close()
    labels = np.arange(60) % 10
    predicted = np.where(np.arange(60) % 3, labels, (labels + 1) % 10)
    final = {"test_accuracy": float(np.mean(labels == predicted)), "test_loss": 0.5, "best_epoch": 2}
    writer.finish(final | {"seconds": 1.0}, {"labels": labels, "predicted": predicted})
    writer.close()
    return config.out


def state_of(folder: Path) -> Any:
    """What the last readable checkpoint holds, as comparable values."""
    latest = Checkpoints(folder, writer=False, reader=True).latest()
    if latest is None:
        return None
    parts, state = latest
    return [{name: array.tolist() for name, array in part.items()} for part in parts], state


def checkpoints(folder: Path) -> Iterator[Case]:
    """Files of checkpoints: the last checkpoint is read as it was, or the one before it."""
    whole = run_folder(folder)
    last = state_of(whole)
    before = folder / "before"
    shutil.copytree(whole, before)
    shutil.rmtree(before / "checkpoints" / "8")
    expected = {AS_IT_WAS: last, "the one before": state_of(before)}
    assert last[1].epoch == 2 and expected["the one before"][1].epoch == 1
    # A run starts anew without its checkpoints, and says so; never with a part of one.
    for file in sorted(path for path in (whole / "checkpoints" / "8").rglob("*") if path.is_file()):
        content = file.read_bytes()
        half = len(content) // 2
        damages = {
            "cut in half": content[:half],
            "zeros": bytes(len(content)),
            "garbage": RNG.bytes(len(content)),
        }
        damages |= {name: damaged for name, damaged in flips(content, 1)} if content else {}
        for name, damaged in [*damages.items(), ("removed", None)]:
            file.unlink() if damaged is None else file.write_bytes(damaged)
            title = f"{file.relative_to(whole / 'checkpoints')}, {name}"
            yield Case(title, lambda: state_of(whole), expected, (str(whole),))
            file.write_bytes(content)


WRONG = {
    "whole": ('"a"', "1.5", "[1, 2]", "{x = 1}", "true", "-1", "1" + "0" * 30, "nan", "1979-05-27"),
    "real": ('"a"', "[1.0]", "{x = 1}", "true", "nan", "-1.0", "-inf", "1979-05-27"),
    "bool": ('"true"', "1", "[]", "{x = true}"),
    "word": ('"other"', '"../a"', "3", "[]", "true", '["mean"]'),
    "sizes": ('"11"', "3", "[1.5]", '["a"]', "[0]", "[-1]", "[1" + "0" * 30 + "]", "[[1]]", "[]"),
}
OPTIONS = {
    "whole": ("epochs", "batch_size", "heads", "depth", "seed", "unit", "patience", "max_examples", "patch"),
    "real": ("learning_rate", "dropout", "token_dropout", "checkpoint_every"),
    "bool": ("spectral", "test", "buckets", "final_norm"),
    "word": ("data", "model", "gradient", "norm", "precision"),
    "sizes": ("shape", "kernel"),
}


def plans_of_runs(folder: Path) -> Iterator[Case]:
    """Plans, whose names become folders and whose values become runs."""

    def case(name: str, text: str | bytes) -> Case:
        path = folder / "plan.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Case(name, lambda: plans.read_variants(str(path)), {}, (str(path),))

    for kind, options in OPTIONS.items():
        for option in options:
            for value in WRONG[kind]:
                yield case(f"{option} = {value}", f"[variants.a]\n{option} = {value}\n")
    for name in (
        "..",
        ".",
        "",
        ".a",
        "a/b",
        "../../a",
        "/a",
        "a\\u0000",
        "a b",
        "ä",
        "a\\n",
        "~",
        "a;b",
        "-/..",
    ):
        yield case(f"variant {name!r}", f'[variants."{name}"]\nepochs = 1\n')
        if name != "a/b":  # plan/variant
            yield case(f"start {name!r}", f'[variants.a]\ninit_from = "{name}"\n')
        yield case(f"start of {name!r}", f'[variants.a]\ninit_from = "{name}/a"\n')
        yield case(f"like {name!r}", f'[variants.a]\nlike = "{name}"\n')
    for text in ("", "[", "a = ", "variants = 3", "arms = [1]", "common = 3", "seeds = 3", 'seeds = ["a"]'):
        yield case(f"text {text}", text)
    yield case("deep", "a = " + "[" * 10_000)
    yield case("latin-1", "a = 'é'".encode("latin-1"))
    yield case("large", b"#" * 2**21)
    target = folder / "plan.toml"
    for kind in no_files(folder, target):
        yield Case(kind, lambda: plans.read_variants(str(target)), {}, (str(target),))


def runs(folder: Path) -> Iterator[Case]:
    """Folders of runs: a finished run stays finished with its result, or is refused, or is not finished."""
    whole = run_folder(folder)
    result = RunFolder(whole).result()
    assert result["test_accuracy"] == 40 / 60
    labels = [array.tolist() for array in RunFolder(whole).predictions()]
    damaged = folder / "damaged"

    def damage(file: str, content: bytes | None) -> None:
        shutil.rmtree(damaged, ignore_errors=True)
        damaged.mkdir()
        (damaged / "checkpoints").symlink_to(whole / "checkpoints")
        for name in {"config.json", "metrics.jsonl", "predictions.npz"} - {file}:
            shutil.copy(whole / name, damaged / name)
        if content is not None:
            (damaged / file).write_bytes(content)

    def predictions() -> Any:
        arrays = RunFolder(damaged).predictions()
        return arrays and [array.tolist() for array in arrays]

    def options() -> Any:
        return RunFolder(damaged).config()

    def resumed() -> Any:
        state = read_state(damaged)
        writer = RunWriter(resolve(RunFolder(damaged).config()), {}, {})
        try:
            writer.truncate(state.lines, state.lines_checksum)
            return writer.lines
        finally:
            writer.close()

    names, finished = (str(damaged),), {AS_IT_WAS: result, "not finished": None}
    lines = (whole / "metrics.jsonl").read_bytes()
    trained = lines[: lines.rstrip().rfind(b"\n") + 1]
    written = [json.loads(line) for line in trained.splitlines()]
    changed = list(flips(lines, 30, 0, len(trained) - 1))
    shorter = [(f"without line {i}", b"".join(np.delete(lines.splitlines(True), i))) for i in range(7)]
    longer = [
        (
            f"another line {i}",
            b"".join([*lines.splitlines(True)[:i], b'{"step": 0}\n', *lines.splitlines(True)[i:]]),
        )
        for i in range(8)
    ]
    for name, content in [*changed, *cuts(lines, 15), *shorter, *longer]:
        damage("metrics.jsonl", content)
        yield Case(f"metrics.jsonl, {name}", lambda: RunFolder(damaged).result(), finished, names)
        yield Case(f"metrics.jsonl resumed, {name}", resumed, as_it_was(written), names)
    archive = (whole / "predictions.npz").read_bytes()
    for name, content in [*flips(archive, 40), *cuts(archive, 10)]:
        damage("predictions.npz", content)
        yield Case(f"predictions.npz, {name}", predictions, as_it_was(labels), names)
        yield Case(f"result without predictions.npz, {name}", RunFolder(damaged).result, finished, names)
    for name, content in cuts((whole / "config.json").read_bytes().rstrip(), 20):
        damage("config.json", content)
        yield Case(f"config.json, {name}", options, {}, names)
    for content in (b"null", b"[1]", b"3", b'"a"', b"[" * 10**5, b'{"shape": 3}', b'{"seed": "a"}'):
        damage("config.json", content)
        yield Case(f"config.json, {content[:20]}", options, {}, names)
    resumable = resolve(Config(epochs=2, batch_size=512, out=damaged))
    for file in ("config.json", "metrics.jsonl", "predictions.npz"):
        damage(file, None)
        for kind in no_files(folder, damaged / file):
            reads = {"config.json": options, "metrics.jsonl": resumed, "predictions.npz": predictions}
            gone = {"none": None} if file == "predictions.npz" else {}
            yield Case(f"{file}, {kind}", reads[file], gone, names)
            yield Case(f"result, {file}, {kind}", RunFolder(damaged).result, finished, names)
        if file == "config.json":
            yield Case("a folder that is none", lambda: check_folders(resumable), {}, names)


KINDS = {
    "archives": (archives, 160),
    "frames": (frames, 280),
    "tables": (tables, 60),
    "checkpoints": (checkpoints, 60),
    "plans": (plans_of_runs, 200),
    "runs": (runs, 250),
}


def equal(value: Any, expected: Any) -> bool:
    """Whether both are the same, arrays in every number."""
    if isinstance(expected, np.ndarray):
        return isinstance(value, np.ndarray) and np.array_equal(value, expected)
    return type(value) is type(expected) and value == expected


def judge(case: Case) -> tuple[str, str | None]:
    """What came of a case, and what is wrong with that, if anything."""
    try:
        with no_hanging():
            value = case.read()
    except Hanging:
        return "hanging", f"takes longer than {SECONDS} s"
    except (ValueError, FileNotFoundError) as error:
        named = any(name in str(error) for name in case.names)
        return "refused", None if named else f"is refused without its name: {error}"
    except Exception as error:
        return "raised", f"raises {type(error).__name__}: {error}"
    for outcome, expected in case.expected.items():
        if equal(value, expected):
            return outcome, None
    return "read wrongly", f"is read as {str(value)[:100]}"


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_is_read_as_something_else(kind, tmp_path, record_property, capfd):
    cases, least = KINDS[kind]
    # The same damages whatever ran before.
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes: dict[str, int] = {}
    wrong = []
    for case in cases(tmp_path):
        outcome, fault = judge(case)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        wrong += [f"{case.name}: {fault}"] if fault else []
    count = sum(outcomes.values())
    record_property("cases", f"{count} {kind}: {outcomes}")
    with capfd.disabled():
        print(f"\n{count} damaged {kind}: {outcomes}")
    assert not wrong, "\n".join([f"{len(wrong)} of {count}", *wrong[:20]])
    assert count >= least and outcomes.get(AS_IT_WAS, 0) < 0.75 * count, outcomes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEGABYTES * 1024


def test_the_campaign_is_large():
    assert sum(least for _, least in KINDS.values()) >= 1000
