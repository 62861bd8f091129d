"""Choose one option of every arm of a plan by validation, with as many runs for each; the test set is not touched."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench import output as results
from bench.config import Tuning
from bench.training.experiments import arms_of, read_table
from nets.config import Config, current_names
from nets.run import RunFolder, fit


def main(options: Tuning) -> results.Rows:
    """Train what is not trained yet, and write the validation of every arm at every value; returns the rows.

    Raises:
        ValueError: an unknown plan or arm, a plan without a table [tune], or a folder that cannot be written to.
    """
    table = read_table(options.plan)
    arms = arms_of(options.plan, table)
    unknown = [arm for arm in options.arms if arm not in arms]
    if unknown:
        raise ValueError(
            f"`arms` must be of the plan, which has {', '.join(arms)}; got {', '.join(unknown)}."
        )
    name, values, shorter = _grid(options.plan, table)
    kept, runs = options.results / Path(options.plan).stem, options.out / Path(options.plan).stem
    results.prepare(kept, "results")
    results.prepare(runs)
    for arm in options.arms or arms:
        for value in values:
            config = arms[arm] | shorter | {name: value, "test": False, "seed": options.seed}
            out = _folder(runs, arm, name, value)
            print(out, flush=True)
            fit(Config(**config | {"data_path": options.data_path, "out": out, "cache": options.cache}))
    # Also what other starts of this command trained.
    found = {(arm, value): RunFolder(_folder(runs, arm, name, value)).result() for arm in arms for value in values}
    rows = [
        {"arm": arm, name: value, **shorter, **final}
        for (arm, value), final in found.items()
        if final is not None
    ]
    for row in rows:
        row["chosen"] = row["validation_loss"] == min(
            other["validation_loss"] for other in rows if other["arm"] == row["arm"]
        )
    shown = {"arm": "", name: "g", "validation_loss": ".4f", "validation_accuracy": ".2%", "chosen": ""}
    print(results.table(rows, shown))
    results.write(kept, "tuning", rows, asdict(options), picture(name, rows))
    return rows


def _folder(runs: Path, arm: str, name: str, value: float) -> Path:
    return runs / f"{arm}-{name}-{value:g}"


def _grid(plan: str, table: dict[str, Any]) -> tuple[str, list[float], dict[str, Any]]:
    """The option that is chosen, its values, and what makes these runs shorter than those of the plan."""
    tune = current_names(table.get("tune", {}))
    grids = [name for name, value in tune.items() if isinstance(value, list)]
    if len(grids) != 1:
        raise ValueError(
            f"`plan` {plan} must have a table [tune] with one list of values, such as learning_rate; got {tune}."
        )
    values = tune.pop(grids[0])
    return grids[0], values, tune


def picture(name: str, rows: results.Rows) -> Figure:
    """Validation loss against the option, a line an arm."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for i, arm in enumerate(dict.fromkeys(row["arm"] for row in rows)):
        own = [row for row in rows if row["arm"] == arm]
        axes.plot(
            [row[name] for row in own],
            [row["validation_loss"] for row in own],
            marker="osv^D"[i % 5],
            linestyle=("-", "--")[i // 10],
            label=arm,
        )
    axes.set(xscale="log", xlabel=name.replace("_", " "), ylabel="validation loss (nat)")
    values = sorted({row[name] for row in rows})
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure
