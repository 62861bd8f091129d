"""What an earlier start of a run left in its folder, and whether it can be continued with it."""

import json
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nets.config import Config
from nets.data import Dataset
from nets.run._folder import result


@dataclass(frozen=True)
class Earlier:
    """What is left of the start before.

    Arguments:
        folder: of the run.
        about: its config.json; empty if there is none.
        result: what it came to, None unless it is finished.
        tokenizer: its tokenizer.json, None without one.
    """

    folder: Path
    about: dict[str, Any]
    result: dict[str, Any] | None
    tokenizer: str | None

    def same(self, dataset: Dataset) -> dict[str, Any]:
        """The fingerprint of the data and the baseline on them, the latter as it was measured at the first start.

        Raises:
            ValueError: the data are not those of the first start.
        """
        found = fingerprint(dataset)
        if self.about.get("data_fingerprint", found) != found:
            raise ValueError(
                f"`data_path` holds other data than the run in {self.folder} was started on; give the same, or name another folder."
            )
        return {"data_fingerprint": found, "baseline": self.about.get("baseline", dataset.baseline)}

    def warn(self, shards: int) -> None:
        """Say so if the batches were shared by another number of devices: their noise is drawn otherwise."""
        first = self.about.get("shards", shards)
        if first != shards:
            print(
                f"started on {first} device(s), continued on {shards}: noise and dropout are drawn otherwise from here on",
                file=sys.stderr,
            )


def earlier(config: Config) -> Earlier:
    """Look into the folder of a run.

    Raises:
        ValueError: it has a checkpoint of a network that reads text, but not the tokenizer.
    """
    folder = Path(config.out)
    path, tokenizer = folder / "config.json", folder / "tokenizer.json"
    if not path.exists():
        return Earlier(folder, {}, None, None)
    found = result(folder)
    if config.data == "imdb" and not tokenizer.exists() and any((folder / "checkpoints").glob("[0-9]*")):
        raise ValueError(
            f"`out` {folder} has no tokenizer.json, which its network reads text by; put it back, or name another folder."
        )
    about = json.loads(path.read_text(encoding="utf-8"))
    text = tokenizer.read_text(encoding="utf-8") if tokenizer.exists() and "baseline" in about else None
    return Earlier(folder, about, found, text)


def start_from(run: Path, model: Any, config: Config, dataset: Dataset) -> None:
    """Give a new network the weights of the best epoch of another run.

    Raises:
        ValueError: that run has no trained network, or it is another network or of other data.
    """
    from flax import nnx

    from nets.run._checkpoint import best, filled

    about = json.loads((run / "config.json").read_text(encoding="utf-8"))
    files = {
        name: (run / name).read_text(encoding="utf-8") if (run / name).exists() else None
        for name in dataset.files
    }
    if files != dataset.files or any(about.get(name) != getattr(config, name) for name in ("data", "length")):
        raise ValueError(
            f"`start` {run} was trained on other data or other tokens; give a run with the same data, length and vocabulary."
        )
    arrays = best(run)
    try:
        nnx.update(model, filled(nnx.state(model), arrays))
    except ValueError as error:
        raise ValueError(
            f"`start` {run} holds another network than this run trains ({str(error).split(';')[-1].strip()})"
        ) from None


def fingerprint(dataset: Dataset) -> int:
    """CRC-32 of the rows and labels of all splits."""
    total = 0
    for split in (dataset.train, dataset.validation, dataset.test):
        for array in (split.rows, split.labels):
            total = zlib.crc32(np.ascontiguousarray(array).data, total)
    return total
