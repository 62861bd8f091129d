"""Train every arm of a plan over its seeds, go on where an earlier start ended, and keep what is small of each run."""

import json
import shutil
import sys
import tempfile
import time
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from bench import output as results
from bench.config import Accuracy, Experiments
from bench.training import accuracy
from nets.config import FREE_ON_RESUME, LOCAL_PATHS, Config, current_names, resolve
from nets.run import RunFolder, fit

PLANS = Path(__file__).parents[1] / "configs"
# What is kept of a run; weights and checkpoints stay where they were written.
SEEDS = (0, 1, 2)
ROWS = {
    "digits": 1294,
    "imdb": 22_500,
    "fashion-mnist": 54_000,
}  # of the training sets, without what is held out
KEPT = ("config.json", "metrics.jsonl", "curves.png", "predictions.npz")


def main(options: Experiments) -> results.Rows:
    """Train what is not recorded yet, then print the table of accuracies; returns its rows.

    Raises:
        ValueError: an unknown plan or arm, a plan that cannot be read, or a folder that cannot be written to.
    """
    file = read_table(options.plan)
    plan = arms_of(options.plan, file)
    unknown = [arm for arm in options.arms if arm not in plan]
    if unknown:
        raise ValueError(
            f"`arms` must be of the plan, which has {', '.join(plan)}; got {', '.join(unknown)}."
        )
    if options.quick:
        return smoke(plan, options)
    kept, runs = options.results / Path(options.plan).stem, options.out / Path(options.plan).stem
    results.prepare(kept, "results")
    results.prepare(runs)
    lost = 0
    # Seed by seed: after the first round every arm has a figure.
    for seed in options.seeds or file.get("seeds", SEEDS):
        for arm in options.arms or plan:
            name = f"{arm}-seed{seed}"
            if RunFolder(kept / name).result():
                _same(kept / name, plan[arm])
                print(f"{name}: recorded before")
                continue
            print(f"{name}: {runs / name}", flush=True)
            try:
                where = {"data_path": options.data_path, "out": runs / name, "cache": options.cache}
                if "init_from" in plan[arm]:
                    # Of this plan, or of another one: plan/arm.
                    where["init_from"] = (
                        runs.parent if "/" in plan[arm]["init_from"] else runs
                    ) / f"{plan[arm]['init_from']}-seed{seed}"
                fit(Config(**{**plan[arm], "seed": seed, **where}))
            except FloatingPointError as error:
                # The other arms are not to be lost with it.
                print(f"error: {name}: {error}", file=sys.stderr)
                lost += 1
                continue
            keep(runs / name, kept / name, plan[arm].get("init_from"))
    if lost:
        print(f"{lost} runs stopped; their folders hold how far they came", file=sys.stderr)
    return accuracy.main(Accuracy(results=kept, out=kept))


STEPS = 50


def smoke(plan: dict[str, dict[str, Any]], options: Experiments) -> results.Rows:
    """Train each arm for so many steps, in a folder that is thrown away, and print how long the whole would take at most."""
    rows = []
    for arm in options.arms or plan:
        config = resolve(Config(**{name: value for name, value in plan[arm].items() if name != "init_from"}))
        short = {
            "epochs": 1,
            "max_examples": min(STEPS * config.batch_size, ROWS[config.data]),
            "test": False,
            "cache": options.cache,
        }
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            last = fit(replace(config, **short, data_path=options.data_path, out=Path(folder) / arm))
            seconds = time.perf_counter() - start
        hours = config.epochs * ROWS[config.data] / short["max_examples"] * seconds / 3600
        rows.append(
            {
                "arm": arm,
                "steps": -(-short["max_examples"] // config.batch_size),
                "validation_loss": last["validation_loss"],
                "seconds": seconds,
                "hours_of_the_whole_at_most": hours,
            }
        )
    print(
        results.table(
            rows,
            {
                "arm": "",
                "steps": "",
                "validation_loss": ".4f",
                "seconds": ".0f",
                "hours_of_the_whole_at_most": ".2g",
            },
        )
    )
    return rows


def _same(folder: Path, arm: dict[str, Any]) -> None:
    """Refuse a recorded run of other options than the plan has now."""
    recorded = RunFolder(folder).facts()
    wanted = {name: value for name, value in json.loads(json.dumps(arm)).items() if name not in FREE_ON_RESUME}
    changed = [
        f"`{name}` {recorded.get(name)!r}, now {value!r}"
        for name, value in wanted.items()
        if recorded.get(name) != value
    ]
    if changed:
        raise ValueError(
            f"`plan`: {folder} was recorded with other options: {', '.join(changed)}; move it away, or name other --results."
        )


def read(plan: str) -> dict[str, dict[str, Any]]:
    """The arms of a plan as options of a run, by name.

    Arguments:
        plan: name of a file in bench/configs without its ending, or a path.

    Raises:
        ValueError: no such plan, or one with options that a run does not have.
    """
    return arms_of(plan, read_table(plan))


def read_table(plan: str) -> dict[str, Any]:
    """What stands in the file of a plan."""
    path = PLANS / f"{plan}.toml" if not Path(plan).suffix else Path(plan)
    if not path.is_file():
        raise ValueError(
            f"`plan` must be one of {', '.join(sorted(p.stem for p in PLANS.glob('*.toml')))}, or a TOML file; got {plan!r}."
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"`plan` {path} cannot be read: {error}.") from None


def arms_of(plan: str, table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The arms that stand in the file of a plan; each has the options of the table `common` and its own.

    An arm with `like` has those of that arm too. `init_from` names the arm whose network of the same seed it starts from, as
    plan/arm if it is of another plan.
    """
    known = {field.name for field in fields(Config)} - {"seed", "out", "data_path", "cache"}
    arms = {}
    for name, own in table.get("arms", {}).items():
        own = current_names(own)
        like = arms.get(own.get("like"), current_names(table.get("common", {})))
        merged = like | {key: value for key, value in own.items() if key != "like"}
        if "like" in own and own["like"] not in arms:
            raise ValueError(
                f"`plan` {plan}: arm {name} must be `like` an arm before it, got {own['like']!r}."
            )
        if "init_from" in own and own["init_from"] not in arms and "/" not in own["init_from"]:
            raise ValueError(
                f"`plan` {plan}: arm {name} must `init_from` an arm before it, got {own['init_from']!r}."
            )
        if set(merged) - known:
            raise ValueError(
                f"`plan` {plan}: arm {name} has {', '.join(sorted(set(merged) - known))}, which is no option of a run."
            )
        arms[name] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in merged.items()
        }
    if not arms:
        raise ValueError(f"`plan` {plan} has no arms; it needs tables of the form [arms.NAME].")
    return arms


def keep(run: Path, folder: Path, start: str | None = None) -> None:
    """Copy what is small of a finished run, without the folders of this machine; all of it or nothing.

    Arguments:
        run: its folder.
        folder: where it is kept.
        start: the arm that it started from, as the plan names it.
    """
    half = folder.with_name(folder.name + ".part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    for name in KEPT:
        if (run / name).exists():
            shutil.copy2(run / name, half / name)
    about = {name: value for name, value in RunFolder(run).facts().items() if name not in LOCAL_PATHS}
    about["init_from"] = start
    (half / "config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)
