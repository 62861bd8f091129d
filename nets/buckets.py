"""Lengths that reviews of about one length are padded to. No JAX here: the command line reads this."""

from typing import Any

SHORTEST = 8  # of these lengths, in tokens


def bucket_lengths(config: Any) -> tuple[int, ...] | None:
    """Lengths, in tokens, that rows of text are padded to: 8, 12, 16, 24, 32, …, then `length`; None for `length` alone.

    A circular lambda layer takes no row shorter than its scope, so its lengths begin there.
    """
    if not config.buckets:
        return None
    circular = config.model == "lambda" and config.boundary == "circular"
    least = (config.scope or config.length) if circular else 1
    steps = (n for power in range(config.length.bit_length()) for n in (2 * 2**power, 3 * 2**power))
    return (*(n for n in steps if max(SHORTEST, least) <= n < config.length), config.length)


def shortens(config: Any) -> None:
    """Refuse buckets where the length of a row is part of what it gives, or where there is but one."""
    if config.model == "fourier":
        raise ValueError(
            "`buckets` would change what model fourier gives, for padding counts in the length of its transform; leave it out, or choose "
            "another `model`."
        )
    if len(bucket_lengths(config)) > 1:
        return
    if config.model == "lambda" and config.boundary == "circular":
        raise ValueError(
            f"`buckets` needs rows shorter than `length` {config.length}, and a circular lambda layer takes none shorter than its `scope` "
            f"of {config.scope or config.length}; lower `scope`, or use `boundary` zero."
        )
    raise ValueError(f"`buckets` begins at {SHORTEST} tokens, and `length` is {config.length}; leave it out, or raise `length`.")
