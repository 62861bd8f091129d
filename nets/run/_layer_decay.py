"""Learning rates that decrease from the last block to the first."""

from typing import Any

import jax
import optax

from nets.run._checkpoint import path_name


def decay_layers(factor: float, depth: int) -> optax.GradientTransformation:
    """Scale the updates of a network of `depth` blocks by a power of `factor` for each block.

        embedding: factor^depth,   block i (from 0): factor^(depth − 1 − i),   all that follows: 1

    Arguments:
        factor: above 0 and at most 1.
        depth: number of blocks.

    Source: J. Howard and S. Ruder, "Universal language model fine-tuning for text classification", ACL
    (2018), section 3.2, discriminative fine-tuning.
    """

    def scale(path: Any, update: jax.Array) -> jax.Array:
        first, *rest = path_name(path).split(".")
        power = {"embedding": depth, "blocks": depth - 1 - int(rest[0]) if first == "blocks" else 0}.get(
            first, 0
        )
        return update * factor**power

    return optax.stateless(lambda updates, _: jax.tree_util.tree_map_with_path(scale, updates))
