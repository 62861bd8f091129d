"""Sizes that are refused before anything is allocated."""

import os
import resource
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_limit() -> int:
    """Bytes of memory that this process can have: of the machine, of its container and of its limits."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    if CGROUP_LIMIT.is_file() and (text := CGROUP_LIMIT.read_text().strip()).isdigit():
        limits.append(int(text))
    return min(limits)


def check_memory(name: str, value: object, needed: int, content: str) -> None:
    """Refuse a size whose arrays no memory of this machine could hold.

    Arguments:
        name, value: of the option.
        needed: bytes, at least.
        content: what needs them.

    Raises:
        ValueError: they are more than there are.
    """
    limit = memory_limit()
    if needed > limit:
        raise ValueError(
            f"`{name}` {value} needs at least {needed / 2**30:,.1f} GiB for {content}, but there are "
            f"{limit / 2**30:,.1f} GiB of memory; choose a smaller one."
        )
