"""A trained network for use elsewhere: python -m nets.export RUN"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from nets.evaluate import read_config


@dataclass(frozen=True)
class Options:
    """Write the network of a run's best epoch as RUN/export/model.safetensors and RUN/export/model.stablehlo.

    The weights have the names of the layers; the program takes rows and gives logits, any number of rows at once.
    """

    run: tyro.conf.Positional[Path]
    """Folder that python -m nets.train wrote."""
    device: str | None = None
    """Preset whose expected values, without noise, the program computes, or "none"; that of the run unless given."""


def export(run: Path | str, device: str | None = None) -> tuple[Path, Path]:
    """Write weights and program of a trained network.

    `jax.export.deserialize(path.read_bytes()).call(rows)` runs the program, on a CPU or a CUDA device, without this package.

    Arguments:
        run: folder of the run.
        device: preset, or "none"; that of the run unless given.

    Returns:
        the paths of model.safetensors and model.stablehlo.

    Raises:
        ValueError: no run or no checkpoint in the folder, unknown device, or the extra "export" is not installed.
    """
    from dataclasses import replace

    import jax
    from flax import nnx

    try:
        import flatbuffers  # noqa: F401 (jax.export needs it)
        from safetensors.numpy import save
    except ModuleNotFoundError as error:
        raise ValueError(
            f'{error.name} is not installed; install lensformer with the extra "export".'
        ) from None

    from nets.data import load
    from nets.run._build import build_device, build_model
    from nets.run._checkpoint import best, filled
    from nets.run._folder import write
    from nets.run._resume import earlier

    run = Path(run)
    config = read_config(run)
    built = build_device(replace(config, device=device or config.device))
    dataset = load(config, earlier(config).tokenizer)
    model = build_model(config, dataset, nnx.Rngs(config.seed))
    arrays = best(run)
    nnx.update(model, filled(nnx.state(model), arrays))
    model.eval()
    one = dataset.test.rows[:1]
    (batch,) = jax.export.symbolic_shape("batch")
    rows = jax.ShapeDtypeStruct((batch, *one.shape[1:]), one.dtype)
    # Row by row, so that the layers see numbers for sizes, whatever the size of the batch.
    call = jax.jit(jax.vmap(lambda row: model(row[None], built)[0]))
    program = jax.export.export(call, platforms=("cpu", "cuda"))(rows)
    folder = run / "export"
    folder.mkdir(exist_ok=True)
    paths: Any = folder / "model.safetensors", folder / "model.stablehlo"
    write(paths[0], save(arrays))
    write(paths[1], bytes(program.serialize()))
    return paths


def main(arguments: list[str] | None = None) -> int:
    """The command line; bad input is one line on standard error and exit status 2."""
    options = tyro.cli(Options, args=arguments, prog="python -m nets.export")
    try:
        paths = export(options.run, options.device)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in paths:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
