"""Kernel Tuner's strategies replayed on a recorded space by its own simulation mode, for search.py; needs the package.

A run is one call of `tune_kernel` with `max_fevals`: distinct configurations count, one that failed as well. The space is
made from what was read, since solving its restrictions takes longer than a search does; each run gets a new one, because a
space remembers which neighbours it has handed out.
"""
import contextlib
import io
import json
import os
import pathlib
import random
import warnings

import numpy

warnings.filterwarnings("ignore")
from kernel_tuner import interface  # noqa: E402
from kernel_tuner.searchspace import Searchspace  # noqa: E402

# All that search in a budget of evaluations: brute_force knows none.
STRATEGIES = [name for name in interface.strategy_map if name != "brute_force"]


class Space:
    def __init__(self, path, recorded, folder):
        """`recorded` is a parsed cache file; a copy with nothing but the objective goes to `folder`."""
        keys, objective = recorded["tune_params_keys"], recorded.get("objective", "time")
        rows = {}
        for name, row in recorded["cache"].items():
            rows[name] = {key: row[key] for key in keys}
            cost = row.get(objective)
            good = isinstance(cost, (int, float)) and cost > 0
            rows[name].update({"time": cost} if good else {"__error__": "RuntimeFailedConfig"})
        self.plain = {"device_name": "recorded", "kernel_name": "recorded", "problem_size": 1, "tune_params_keys": keys,
                      "tune_params": {key: recorded["tune_params"][key] for key in keys}, "objective": "time", "cache": rows}
        self.best = min(row["time"] for row in rows.values() if "time" in row)
        self.file = pathlib.Path(folder) / f"{os.getpid()}-{pathlib.Path(path).name}.json"
        self.file.write_text(json.dumps(self.plain))

    def share(self, strategy, evaluations, seed):
        """Best time of the space over the best found; 0 where all that was tried failed."""
        random.seed(seed)
        numpy.random.seed(seed)
        interface.Searchspace = lambda *_, **__: Searchspace(None, None, None, from_cache=self.plain)
        with contextlib.redirect_stdout(io.StringIO()):
            results, _ = interface.tune_kernel(
                "recorded", "void recorded() {}", 1, [], self.plain["tune_params"], lang="C", strategy=strategy, seed=seed,
                strategy_options={"max_fevals": evaluations}, cache=str(self.file), simulation_mode=True, quiet=True)
        times = [row["time"] for row in results if "__error__" not in row]
        return self.best / min(times) if times else 0.0
