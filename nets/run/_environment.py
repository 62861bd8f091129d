"""Being told to stop: Ctrl-C, or the signal that a batch system sends before it kills."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

CACHE_OPTIONS = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


@contextmanager
def kept_programs(folder: Path | None) -> Iterator[None]:
    """Keep what is compiled in the folder, and find it there the next time; None leaves JAX as it is set."""
    if folder is None:
        yield
        return
    options = CACHE_OPTIONS | {"jax_compilation_cache_dir": str(folder)}
    before = {name: getattr(jax.config, name) for name in options}
    try:
        _set(options)
        yield
    finally:
        _set(before)


def _set(options: dict[str, Any]) -> None:
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


class Trace:
    """A trace of a few steps by jax.profiler, in profile/ of the run; TensorBoard and Perfetto show it.

    Arguments:
        folder: of the run; None traces nothing.
        first, last: steps of this start, from 1; the first ones compile.
    """

    def __init__(self, folder: Path | None, first: int = 4, last: int = 8):
        self.folder, self.first, self.last, self.step = folder, first, last, 0

    def before_step(self) -> None:
        """Begin where it is time to."""
        self.step += 1
        if self.folder is not None and self.step == self.first:
            jax.profiler.start_trace(str(self.folder / "profile"))

    def after_step(self, found: Any) -> None:
        """End where it is time to, when the step is done."""
        if self.folder is not None and self.step == self.last:
            jax.block_until_ready(found)
            jax.profiler.stop_trace()
            self.folder = None

    def close(self) -> None:
        """End a trace of a run that was shorter."""
        if self.folder is not None and self.step >= self.first:
            jax.profiler.stop_trace()
            self.folder = None


def board_writer() -> Any:
    """The class that writes for TensorBoard.

    Raises:
        ValueError: tensorboardX is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError:
        raise ValueError(
            '`tensorboard` needs tensorboardX; install lensformer with the extra "log", or leave it out.'
        ) from None
    return SummaryWriter


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """A function that is true once the process was told to stop; told a second time, it stops at once.

    Outside the main thread, which alone may handle signals, nothing is handled.
    """
    told = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if told.is_set():
            raise KeyboardInterrupt
        told.set()

    if threading.current_thread() is not threading.main_thread():
        yield told.is_set
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
