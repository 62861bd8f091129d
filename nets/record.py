"""The folder of a run: what it was, what it measured, what it learned."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nets.config import Config

PACKAGES = ("jax", "flax", "optax", "numpy", "tokenizers")


class Run:
    """Writes config.json at once, metrics.jsonl line by line, the rest at the end.

    Arguments:
        config: the run.
        values: its fields as JSON.
        files: text files to keep, by name.
    """

    def __init__(self, config: Config, values: dict[str, Any], files: dict[str, str]):
        self.folder, self.lines = Path(config.out), []
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {
            "versions": {p: version(p) for p in PACKAGES},
            "python": platform.python_version(),
            "machine": machine(),
            "commit": commit(),
        }
        (self.folder / "config.json").write_text(json.dumps(values | about, indent=2) + "\n", encoding="utf-8")
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        self.title = f"{config.data}, {config.model}, device {config.device}"

    def log(self, line: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        self.lines.append(line)
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def finish(self, final: dict[str, Any], state: Any) -> None:
        """Log the last line, then save the parameters and the curves."""
        import orbax.checkpoint as ocp

        self.log(final)
        with ocp.StandardCheckpointer() as saver:
            saver.save((self.folder / "checkpoints" / "last").resolve(), state)
        curves(self.lines[:-1], final, self.title, self.folder / "curves.png")


def machine() -> str:
    """Processor, cores and system, in words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"


def commit() -> str | None:
    """The commit of the source tree, marked when it has changes; None outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def curves(lines: list[dict[str, Any]], final: dict[str, Any], title: str, path: Path) -> None:
    """Loss and accuracy against the epoch, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, what, unit in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("nat", "share of rows"), strict=True):
        steps = [line for line in lines if "epoch" not in line]
        epochs = [line for line in lines if "epoch" in line]
        axes.plot([line["step"] for line in steps], [line[f"train_{what}"] for line in steps], label="train")
        axes.plot([line["step"] for line in epochs], [line[f"validation_{what}"] for line in epochs], "o-", label="validation, each epoch")
        axes.axhline(final[f"test_{what}"], color="0.4", linestyle="--", label=f"test {final[f'test_{what}']:.4f}")
        if what == "accuracy" and "bag_of_words_accuracy" in final:
            value = final["bag_of_words_accuracy"]
            axes.axhline(value, color="0.4", linestyle=":", label=f"bag of words {value:.4f}")
        axes.set(xlabel="step", ylabel=f"{what} ({unit})")
        axes.legend(frameon=False)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
