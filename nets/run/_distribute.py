"""One run on several devices and in several processes."""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from nets.config import Config, nearest_multiple
from nets.run._checkpoint import Arrays, RunState
from nets.run._steps import AXIS

HEARTBEAT_TIMEOUT = 30  # seconds after which a silent process counts as lost
STATE_BYTES = 8192  # the most that the JSON of a RunState takes


def join(config: Config) -> None:
    """Connect to the other processes of the run: by `coordinator`, or as tasks of a SLURM step.

    Raises:
        ValueError: `coordinator`, `processes` and `process` are incomplete or impossible, or JAX has been
            used before.
    """
    options = {name: getattr(config, name) for name in ("coordinator", "processes", "process")}
    if any(value is not None for value in options.values()):
        missing = [name for name, value in options.items() if value is None]
        if missing:
            raise ValueError(
                f"`coordinator`, `processes` and `process` go together; `{missing[0]}` is missing: add "
                f"--{missing[0]}."
            )
        if not 0 <= config.process < config.processes:
            raise ValueError(f"`process` must be between 0 and {config.processes - 1}, got {config.process}.")
    elif slurm_tasks() < 2:
        return
    if jax.distributed.is_initialized():
        return
    try:
        jax.distributed.initialize(
            config.coordinator, config.processes, config.process, heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT
        )
    except RuntimeError as error:
        raise ValueError(
            f"`coordinator` {config.coordinator}: the processes did not meet ({str(error).splitlines()[0]})."
        ) from None


def slurm_tasks() -> int:
    """Number of tasks of the SLURM step that this process belongs to; 1 outside of one."""
    if "SLURM_PROCID" not in os.environ or "SLURM_STEP_NODELIST" not in os.environ:
        return 1
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", os.environ.get("SLURM_NTASKS", "1")))


@dataclass(frozen=True)
class Layout:
    """Where the arrays of a run are: the rows of a batch are divided among the devices, all else is on every
    device.

    Arguments:
        mesh: all devices of all processes, on one axis; None for a single device, where nothing has to be
            placed.
    """

    mesh: Mesh | None

    @property
    def is_writer(self) -> bool:
        """Whether this process writes the folder of the run."""
        return jax.process_index() == 0

    @property
    def shards(self) -> int:
        """Number of parts of a batch."""
        return 1 if self.mesh is None else self.mesh.size

    def shard_batch(self, batch: tuple) -> tuple:
        """The batch, with the rows of this process on its devices."""
        if self.mesh is None:
            return batch
        sharding, process, count = NamedSharding(self.mesh, P(AXIS)), jax.process_index(), jax.process_count()
        return tuple(
            jax.make_array_from_process_local_data(
                sharding,
                array[len(array) * process // count : len(array) * (process + 1) // count],
                array.shape,
            )
            for array in batch
        )

    def replicate(self, tree: Any) -> Any:
        """A copy of the tree on every device."""
        if self.mesh is None:
            return tree
        sharding = NamedSharding(self.mesh, P())
        return _map_arrays(
            lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), tree
        )

    def local_copy(self, tree: Any) -> Any:
        """A replicated tree on the first device of this process only."""
        if self.mesh is None:
            return tree
        return _map_arrays(lambda leaf: jnp.asarray(np.asarray(leaf)), tree)

    def any_process(self, flag: bool) -> bool:
        """Whether the flag is true in any process; all processes must call this."""
        if jax.process_count() == 1:
            return flag
        return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))

    def barrier(self, name: str) -> None:
        """Wait until all processes are here."""
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(name)

    def broadcast_arrays(self, arrays: Arrays | None, like: Arrays) -> Arrays:
        """The arrays of the writer, in every process.

        Arguments:
            arrays: in the writer; None in the others.
            like: arrays of the same names, shapes and types.
        """
        if jax.process_count() == 1:
            return arrays
        sent = like if arrays is None else {name: arrays[name] for name in like}
        return {name: np.asarray(array) for name, array in multihost_utils.broadcast_one_to_all(sent).items()}

    def broadcast_state(self, state: RunState | None) -> RunState | None:
        """The state of the writer, in every process."""
        if jax.process_count() == 1:
            return state
        text = json.dumps(None if state is None else asdict(state)).encode().ljust(STATE_BYTES)
        received = multihost_utils.broadcast_one_to_all(np.frombuffer(text, np.uint8))
        values = json.loads(bytes(np.asarray(received)))
        return None if values is None else RunState(**values)


def _map_arrays(function: Any, tree: Any) -> Any:
    """Apply a function of arrays to every leaf, and to the data of keys."""

    def apply(leaf):
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(
                function(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
            )
        return function(leaf)

    return jax.tree.map(apply, tree)


def make_layout(config: Config) -> Layout:
    """The devices that `config.devices` asks for, in every process.

    Raises:
        ValueError: there are fewer, or they cannot share a batch evenly.
    """
    local = jax.local_device_count()
    count = config.devices if config.devices is not None else "all" if jax.process_count() > 1 else 1
    if count != "all" and count > local:
        raise ValueError(
            f"`devices` must be at most the {local} of this machine, got {count}; lower --devices."
        )
    count = local if count == "all" else count
    devices = [
        device
        for process in range(jax.process_count())
        for device in [device for device in jax.devices() if device.process_index == process][:count]
    ]
    if len(devices) == 1:
        return Layout(None)
    shares = config.units_per_step if config.objective == "mean" else 1
    parts_in_all = len(devices) * config.accumulate * shares
    if config.batch_size % parts_in_all:
        parts = f", in {config.accumulate} parts each (`accumulate`)" * (config.accumulate > 1)
        parts += f", shared by {shares} units (`units_per_step`)" * (shares > 1)
        raise ValueError(
            f"`batch_size` must be a multiple of the {len(devices)} devices{parts}, got {config.batch_size}; "
            f"set --batch-size to {nearest_multiple(config.batch_size, parts_in_all)}, for example."
        )
    return Layout(Mesh(np.array(devices), (AXIS,)))
