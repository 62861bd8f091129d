"""The folder of a run: a new one, or one whose run is continued. No JAX here, as in `nets.config`."""

import json
import os
from pathlib import Path
from typing import Any


def to_write(out: Path, resume: bool, now: dict[str, Any], defaults: Any) -> None:
    """Refuse a folder that a run can neither be started in nor continued.

    Arguments:
        out: the folder.
        resume: a run that lies there is continued.
        now: the options that make up the run.
        defaults: has the values, by name, of options that an earlier run was recorded without.

    Raises:
        ValueError: a folder that is not empty and holds no run, another one, or one that is not to be continued; a folder that
            cannot be written to.
    """
    if (out / "config.json").exists():
        _continuable(out, resume, now, defaults)
    elif out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise ValueError(f"`out` {out} is not empty; a run is never written over: name another folder.")
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ValueError(f"`out` {out} cannot be written: {existing} is not a folder that may be written to.")


def unused(folder: Path) -> Path:
    """The folder, numbered if an earlier run lies there."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _continuable(out: Path, resume: bool, now: dict[str, Any], defaults: Any) -> None:
    if not resume:
        raise ValueError(f"`out` {out} holds a run, and it is not to be continued; name another folder, or leave --no-resume out.")
    path = out / "config.json"
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"`out`: {path} cannot be read ({error}); repair it, or name another folder.") from None
    now = json.loads(json.dumps(now))
    changed = [name for name in now if before.get(name, getattr(defaults, name)) != now[name]]
    if changed:
        told = ", ".join(f"`{name}` {before.get(name)!r}, now {now[name]!r}" for name in changed)
        raise ValueError(f"`out` {out} holds a run of other options: {told}; give the same ones, or name another folder.")
