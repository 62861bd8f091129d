"""Choose one option of every variant of a plan by validation; the test set is not read."""

from pathlib import Path
from typing import Any

from bench import output, plots
from bench.config import Tuning
from bench.output import Rows, select
from bench.training.plans import choose_variants, read_plan, read_variants
from nets.config import OPTIONS, Config, check_values, current_names, shorten
from nets.run import RunFolder, fit


def main(options: Tuning) -> Rows:
    """Train the missing runs, and write the validation of every variant at every value; returns the rows.

    Raises:
        ValueError: an unknown plan or variant, a plan without a table [tune], or a folder that cannot be
            written to.
    """
    variants = read_variants(options.plan)
    names = choose_variants(options.variants, variants)
    option, values, short_run = read_grid(options.plan)
    plan = Path(options.plan).stem
    results, runs = options.results / plan, options.out / plan
    output.check_folder(results, "results")
    output.check_folder(runs)

    def folder_of(variant: str, value: float) -> Path:
        return runs / f"{variant}-{option}-{value:g}"

    for variant in names:
        for value in values:
            out = folder_of(variant, value)
            print(out, flush=True)
            settings = variants[variant] | short_run | {option: value, "test": False, "seed": options.seed}
            fit(Config(**settings | {"data_path": options.data_path, "out": out, "cache": options.cache}))
    rows = []
    # Also the runs of earlier starts of this command.
    for variant in variants:
        for value in values:
            result = RunFolder(folder_of(variant, value)).result()
            if result is not None:
                rows.append({"arm": variant, option: value, **short_run, **result})
    for row in rows:
        losses = [other["validation_loss"] for other in select(rows, arm=row["arm"])]
        row["chosen"] = row["validation_loss"] == min(losses)
    columns = {"arm": "", option: "g", "validation_loss": ".4f", "validation_accuracy": ".2%", "chosen": ""}
    print(output.table(rows, columns))
    output.write(results, "tuning", rows, options, plots.tuning(rows))
    return rows


def read_grid(plan: str) -> tuple[str, list[float], dict[str, Any]]:
    """The option that is tuned, its values, and the options that make these runs short.

    Raises:
        ValueError: a plan without a table [tune] that has one list of values.
    """
    table = current_names(read_plan(plan).get("tune", {}))
    lists = [name for name, value in table.items() if isinstance(value, list)]
    if len(lists) != 1:
        raise ValueError(
            f"`plan` {plan} must have a table [tune] with one list of values, such as learning_rate; got "
            f"{table}."
        )
    option, values = lists[0], table.pop(lists[0])
    unknown = {option, *table} - set(OPTIONS)
    if unknown:
        raise ValueError(
            f"`plan` {plan}: [tune] has {', '.join(sorted(unknown))}, which a run does not have."
        )
    if not values or not all(type(value) in (int, float) for value in values):
        raise ValueError(f"`plan` {plan}: [tune] needs numbers for {option}, got {shorten(values)}.")
    for value in values:
        check_values(Config, table | {option: value})
    return option, values, table
