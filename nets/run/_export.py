"""Write a trained network for use without this package."""

from pathlib import Path

import jax

from nets.config import resolve
from nets.run._build import build_device, choose_device
from nets.run._environment import usual_promotion
from nets.run._folder import RunFolder
from nets.run._trained import load
from nets.run._writer import write


@usual_promotion()
def export(run: Path | str, device: str | None = None, multiplier: str | None = None) -> tuple[Path, Path]:
    """Write the weights and the compiled program of a trained network.

    `jax.export.deserialize(path.read_bytes()).call(rows)` runs the program, on a CPU or a CUDA device,
    without this package.

    Arguments:
        run: folder of the run.
        device: preset that the program computes without noise, or "none"; None is that of the run.
        multiplier: preset that multiplies the matrices of the blocks, "convolutions", or "none"; None is that
            of the run.

    Returns:
        the paths of model.safetensors and model.stablehlo.

    Raises:
        ValueError: no run or no checkpoint in the folder, an unknown device, or the extra "export" is not
            installed.
    """
    try:
        import flatbuffers  # noqa: F401 (jax.export needs it)
        from safetensors.numpy import save
    except ModuleNotFoundError as error:
        raise ValueError(
            f'{error.name} is not installed; install lensformer with the extra "export".'
        ) from None
    folder = RunFolder(Path(run))
    config = choose_device(resolve(folder.config()), device, multiplier)
    target = folder.path / "export"
    if target.is_symlink():
        raise ValueError(f"{target} must be a folder of the run, not a link; remove it.")
    built = build_device(config)
    network = load(run, config.products)
    example = network.dataset.test.rows[:1]
    (batch,) = jax.export.symbolic_shape("batch")
    rows = jax.ShapeDtypeStruct((batch, *example.shape[1:]), example.dtype)
    # Row by row, so that the layers see fixed shapes for a batch of any size.
    call = jax.jit(jax.vmap(lambda row: network.model(row[None], built)[0]))
    program = jax.export.export(call, platforms=("cpu", "cuda"))(rows)
    target.mkdir(exist_ok=True)
    weights, stablehlo = target / "model.safetensors", target / "model.stablehlo"
    contents = {weights: save(folder.weights()), stablehlo: bytes(program.serialize())}
    for path, content in contents.items():
        write(path, content)
    return weights, stablehlo
