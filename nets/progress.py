"""Where a run stands: everything but the network and its optimizer that it takes to go on."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Progress:
    """Position and running sums of a run; with the seed, it says what comes next.

    The order of an epoch's rows follows from the seed and the epoch, and the keys of a step from the seed and the step,
    so a position is a number.

    Arguments:
        step: steps taken.
        epoch: epochs that were trained and validated.
        seen, lately: sums of loss, right answers and rows, over this epoch until the last line of metrics.jsonl, and since.
        best: of the epoch with the best validation: its number, accuracy, loss and checkpoint.
        stopped: no better epoch came for as long as the run was to wait.
        lines: lines of metrics.jsonl.
        seconds: time that the run has taken, over all its starts.
    """

    step: int = 0
    epoch: int = 0
    seen: list[float] = field(default_factory=lambda: [0.0] * 3)
    lately: list[float] = field(default_factory=lambda: [0.0] * 3)
    best: dict[str, Any] | None = None
    stopped: bool = False
    lines: int = 0
    seconds: float = 0.0

    @property
    def number(self) -> int:
        """The number of a checkpoint here: before and after the validation of an epoch there are two."""
        return self.step + self.epoch

    def validated(self, accuracy: float, loss: float, patience: int | None) -> bool:
        """Count an epoch; True if it is the best so far, of equal accuracies the one of lower loss."""
        self.epoch += 1
        better = self.best is None or (accuracy, -loss) > (self.best["accuracy"], -self.best["loss"])
        if better:
            self.best = {"epoch": self.epoch, "accuracy": accuracy, "loss": loss, "checkpoint": self.number}
        self.stopped = patience is not None and self.epoch - self.best["epoch"] >= patience
        return better

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON values, which give the same numbers back."""
        return asdict(self)
