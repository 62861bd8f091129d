"""One run over several devices and several processes: who takes part, who holds what."""

import json
import os
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from nets.config import Config, near
from nets.run._checkpoint import Progress
from nets.run._steps import AXIS

# A process that has not been heard of for so long is given up. Seconds.
SILENCE = 30
LONGEST = 8192  # bytes of what is told of a run's position


def join(config: Config) -> None:
    """Meet the other processes of the run: those that `coordinator` brings together, or the tasks of a SLURM step.

    Raises:
        ValueError: an incomplete or impossible set of `coordinator`, `processes` and `process`, or JAX is in use already.
    """
    given = {name: getattr(config, name) for name in ("coordinator", "processes", "process")}
    if any(value is not None for value in given.values()):
        missing = [name for name, value in given.items() if value is None]
        if missing:
            raise ValueError(
                f"`coordinator`, `processes` and `process` go together; `{missing[0]}` is missing."
            )
        if not 0 <= config.process < config.processes:
            raise ValueError(f"`process` must be between 0 and {config.processes - 1}, got {config.process}.")
    elif slurm_tasks() < 2:
        return
    if jax.distributed.is_initialized():
        return
    try:
        jax.distributed.initialize(
            config.coordinator, config.processes, config.process, heartbeat_timeout_seconds=SILENCE
        )
    except RuntimeError as error:
        raise ValueError(
            f"`coordinator` {config.coordinator}: the processes did not meet ({str(error).splitlines()[0]})."
        ) from None


def slurm_tasks() -> int:
    """Tasks of the SLURM step that this process is one of; 1 outside of one."""
    if "SLURM_PROCID" not in os.environ or "SLURM_STEP_NODELIST" not in os.environ:
        return 1
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", os.environ.get("SLURM_NTASKS", "1")))


@dataclass(frozen=True)
class Layout:
    """Where a run's arrays are: batches shared out by rows, everything else on every device.

    Arguments:
        mesh: of all devices of all processes, with one axis; None is one device, on which nothing has to be placed.
    """

    mesh: Mesh | None

    @property
    def writer(self) -> bool:
        """Whether this process is the one that writes."""
        return jax.process_index() == 0

    @property
    def shards(self) -> int:
        """Parts of a batch."""
        return 1 if self.mesh is None else self.mesh.size

    def batch(self, batch: tuple) -> tuple:
        """The rows that are this process's, on its devices."""
        if self.mesh is None:
            return batch
        sharding, here, of = NamedSharding(self.mesh, P(AXIS)), jax.process_index(), jax.process_count()
        own = [array[len(array) * here // of : len(array) * (here + 1) // of] for array in batch]
        return tuple(
            jax.make_array_from_process_local_data(sharding, part, array.shape)
            for part, array in zip(own, batch, strict=True)
        )

    def everywhere(self, tree: Any) -> Any:
        """The tree on every device."""
        if self.mesh is None:
            return tree
        sharding = NamedSharding(self.mesh, P())

        def place(leaf):
            if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(
                    place(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
                )
            return jax.make_array_from_process_local_data(sharding, np.asarray(leaf))

        return jax.tree.map(place, tree)

    def local(self, tree: Any) -> Any:
        """What is everywhere, on the first device of this process alone."""
        if self.mesh is None:
            return tree

        def take(leaf):
            if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(
                    take(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
                )
            return jnp.asarray(np.asarray(leaf))

        return jax.tree.map(take, tree)

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process; all must ask."""
        return (
            flag
            if jax.process_count() == 1
            else bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))
        )

    def meet(self, name: str) -> None:
        """Wait for the others."""
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(name)

    def arrays(
        self, arrays: dict[str, np.ndarray] | None, like: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """What the writer has, in every process; `like` has the same names, shapes and types."""
        if jax.process_count() == 1:
            return arrays
        found = multihost_utils.broadcast_one_to_all(
            like if arrays is None else {name: arrays[name] for name in like}
        )
        return {name: np.asarray(array) for name, array in found.items()}

    def position(self, progress: Progress | None) -> Progress | None:
        """Where the writer says that the run stands, in every process."""
        if jax.process_count() == 1:
            return progress
        text = json.dumps(None if progress is None else progress.as_json()).encode().ljust(LONGEST)
        told = json.loads(
            bytes(np.asarray(multihost_utils.broadcast_one_to_all(np.frombuffer(text, np.uint8))))
        )
        return None if told is None else Progress(**told)


def layout(config: Config) -> Layout:
    """The devices that `config.devices` asks for, of every process.

    Raises:
        ValueError: there are not so many, or they cannot share a batch evenly.
    """
    local = jax.local_device_count()
    wanted = config.devices if config.devices is not None else "all" if jax.process_count() > 1 else 1
    if wanted != "all" and wanted > local:
        raise ValueError(f"`devices` must be at most the {local} of this machine, got {wanted}.")
    count = local if wanted == "all" else wanted
    chosen = [
        d
        for i in range(jax.process_count())
        for d in [d for d in jax.devices() if d.process_index == i][:count]
    ]
    if len(chosen) == 1:
        return Layout(None)
    if config.batch_size % (len(chosen) * config.accumulate):
        parts = f", in {config.accumulate} parts each (`accumulate`)" * (config.accumulate > 1)
        raise ValueError(
            f"`batch_size` must be a multiple of the {len(chosen)} devices{parts}, got {config.batch_size}; use "
            f"{near(config.batch_size, len(chosen) * config.accumulate)}, for example."
        )
    return Layout(Mesh(np.array(chosen), (AXIS,)))
