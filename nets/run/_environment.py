"""The process and the machine of a run: compilation cache, profile, signals, versions."""

import os
import platform
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache as jax_cache

CACHE_OPTIONS = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
CACHE_BYTES = 2**30  # of compiled programs
TRANSFERS = "transfers"  # folder of compiled lenses, within that of compiled programs
TRANSFER_BYTES = 2**31  # of compiled lenses
PACKAGES = ("jax", "flax", "optax", "numpy", "tokenizers")


@contextmanager
def usual_promotion() -> Iterator[None]:
    """Promote ranks and types as JAX does by default, whatever the environment sets."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@contextmanager
def silent_writers() -> Iterator[None]:
    """Leave out what threads of orbax print after a checkpoint could not be written: the error says it."""
    before = sys.unraisablehook

    def report(args: Any) -> None:
        if str(args.exc_value) != "Event loop is closed":
            before(args)

    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def compilation_cache(folder: Path | None) -> Iterator[None]:
    """Store compiled programs in the folder and load them from there; None keeps the setting of JAX.

    Without a folder that can be written, programs are compiled anew, and one line on standard error says so.

    Raises:
        ValueError: as of `check_cache`.
    """
    if folder is None or not check_cache(folder):
        yield
        return
    remove_oldest(folder, CACHE_BYTES)
    remove_oldest(folder / TRANSFERS, TRANSFER_BYTES, "*.npz")
    options = CACHE_OPTIONS | {"jax_compilation_cache_dir": str(folder)}
    before = {name: getattr(jax.config, name) for name in options}
    try:
        _configure_cache(options)
        yield
    finally:
        _configure_cache(before)


def check_cache(folder: Path) -> bool:
    """Make the folder of compiled programs, and return whether it can be written.

    What is in it is run as it is, so that nobody else may be able to write there.

    Raises:
        ValueError: it is no folder, or others can write to it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(
            f"`cache` {folder} must be a folder, but it is a file; name another one, or leave --cache out."
        ) from None
    except OSError as error:
        print(f"`cache` {folder} cannot be made ({error.strerror}): nothing is stored there", file=sys.stderr)
        return False
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ValueError(
            f"`cache` {folder} must be a folder that you own and that nobody else can write to, for the "
            f"programs in it are run; chmod go-w {folder}, or name another one."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        print(f"`cache` {folder} cannot be written: nothing is stored there", file=sys.stderr)
        return False
    return True


def transfers_folder(cache: Path | None) -> Path | None:
    """Where compiled lenses are kept beside compiled programs; None where nothing can be stored.

    Arguments:
        cache: folder of compiled programs, which `compilation_cache` has made and checked.
    """
    if cache is None or not os.access(cache, os.W_OK | os.X_OK):
        return None
    return cache / TRANSFERS


def remove_oldest(folder: Path, limit: int, pattern: str = "*-cache") -> None:
    """Remove the oldest compiled programs, or other files, beyond this number of bytes.

    JAX can do so too, but then refuses folders that it has filled without a limit.
    """
    programs = []
    for path in folder.glob(pattern):
        with suppress(OSError):  # another process removes them too
            status = path.lstat()
            programs.append((status.st_mtime_ns, status.st_size, path))
    total = 0
    for _, size, path in sorted(programs, reverse=True):
        total += size
        if total > limit:
            path.unlink(missing_ok=True)


def _configure_cache(options: dict[str, Any]) -> None:
    for name, value in options.items():
        jax.config.update(name, value)
    jax_cache.reset_cache()


class Trace:
    """A profile of a few steps, written by jax.profiler to profile/ of the run; TensorBoard and Perfetto show
    it.

    Arguments:
        folder: of the run; None writes no profile.
        first, last: the profiled steps of this start, counted from 1; the first ones compile.
    """

    def __init__(self, folder: Path | None, first: int = 4, last: int = 8):
        self.folder, self.first, self.last, self.step = folder, first, last, 0

    def before_step(self) -> None:
        """Start the profiler before the first step."""
        self.step += 1
        if self.folder is not None and self.step == self.first:
            jax.profiler.start_trace(str(self.folder / "profile"))

    def after_step(self, result: Any) -> None:
        """Stop the profiler when the last step is computed."""
        if self.folder is not None and self.step == self.last:
            jax.block_until_ready(result)
            jax.profiler.stop_trace()
            self.folder = None

    def close(self) -> None:
        """Stop the profiler if the run was shorter."""
        if self.folder is not None and self.step >= self.first:
            jax.profiler.stop_trace()
            self.folder = None


@contextmanager
def graceful_stop() -> Iterator[Callable[[], bool]]:
    """Give a function `stop_requested`: true after Ctrl-C, or after the signal that a batch system sends
    before it kills.

    A second signal raises KeyboardInterrupt at once. Outside the main thread, which alone can handle signals,
    it stays false.
    """
    event = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    if threading.current_thread() is not threading.main_thread():
        yield event.is_set
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def provenance(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """The versions, Python, machine, accelerator if there is one, and commit that numbers were made with."""
    name = accelerator()
    return {
        "versions": {p: version(p) for p in packages},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "commit": commit(),
        **({} if name is None else {"accelerator": name}),
    }


def accelerator() -> str | None:
    """The kind of the JAX devices and the version of their platform, with its driver; None on CPUs."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return None
    version_of_platform = " ".join(device.client.platform_version.split())
    return f"{jax.device_count()} × {device.device_kind}, {version_of_platform}"


def usable_cores() -> int:
    """Cores that this process may use, on which the order of sums in a compiled program depends."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def commit() -> str | None:
    """The commit of the source tree, marked when it has changes; None outside a checkout."""
    try:
        process = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return process.stdout.strip()
