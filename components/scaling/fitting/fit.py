"""Everything that a table of runs allows to fit, side by side, with what was left out and what was refused."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.errors import ConfigError, FitRefused
from components.scaling.config import FitConfig
from components.scaling.fitting.hyper_parameters import HyperParameters, fit_hyper_parameters
from components.scaling.fitting.intervals import Estimate
from components.scaling.fitting.isoflop import LEAST_BUDGETS, IsoFlop, budgets, fit_isoflop
from components.scaling.fitting.parametric import Parametric, fit_parametric
from components.scaling.fitting.robust import Array
from components.scaling.fitting.runs import LeftOut, Runs
from components.scaling.laws.law import SCALES


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """What was fitted, by method; None where a method was refused or its columns were not given."""

    config: FitConfig
    data: Mapping[str, Array]
    """The runs used, (R) each: what was given of n, d, c, loss, batch and learning_rate, and what followed from it."""
    isoflop: IsoFlop | None
    parametric: Parametric | None
    all_runs: Parametric | None
    """The parametric fit with nothing left out, where something was."""
    hyper_parameters: HyperParameters | None
    refused: Mapping[str, str]
    """Methods that were tried in vain, with the reason."""
    left_out: tuple[LeftOut, ...]

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        found = {"isoflop": self.isoflop, "parametric": self.parametric, "hyper_parameters": self.hyper_parameters}
        return {
            "methods": [name for name, value in found.items() if value is not None],
            "config": dataclasses.asdict(self.config),
            "runs": len(self.data["loss"]),
            "isoflop": _isoflop(self.isoflop),
            "parametric": _parametric(self.parametric),
            "parametric_with_all_runs": _parametric(self.all_runs),
            "hyper_parameters": _estimates(self.hyper_parameters),
            "refused": dict(self.refused),
            "left_out": [dataclasses.asdict(entry) for entry in self.left_out],
        }


def fit(runs: Runs, config: FitConfig) -> Fit:
    """Fit what the columns allow.

    IsoFLOP profiles and the parametric fit need two of n, d and c, the hyper-parameter laws c, batch and learning_rate.

    Raises:
        ConfigError: columns that allow no fit.
        FitRefused: every fit that the columns allow was refused; the message says why.
    """
    data = _completed(runs.values, SCALES[config.scale])
    tries = _Tries(runs, data, config)
    if {"n", "d", "c"} <= set(data):
        tries.allocation()
    if {"c", "batch", "learning_rate"} <= set(data):
        tries.hyper_parameters()
    made = tries.made
    if not made and not tries.refused:
        raise ConfigError("these columns allow no fit; allowed: two of n, d and c, or c, batch and learning_rate, each with loss")
    if not made:
        raise FitRefused("nothing was fitted: " + "; ".join(f"{name}: {reason}" for name, reason in tries.refused.items()))
    return Fit(
        config=config,
        data=data,
        isoflop=made.get("isoflop"),
        parametric=made.get("parametric"),
        all_runs=made.get("all_runs"),
        hyper_parameters=made.get("hyper_parameters"),
        refused=tries.refused,
        left_out=tuple(tries.left_out),
    )


class _Tries:
    """The methods, one after another; what each made, refused and left out."""

    def __init__(self, runs: Runs, data: Mapping[str, Array], config: FitConfig) -> None:
        self.rows, self.data, self.config = runs.rows, data, config
        self.made: dict[str, Any] = {}
        self.refused: dict[str, str] = {}
        self.left_out = list(runs.left_out)

    def allocation(self) -> None:
        """IsoFLOP profiles and the parametric fit."""
        count = len(budgets(self.data["c"]))
        if count < LEAST_BUDGETS:
            reason = f"{count} budgets; a law of compute needs at least {LEAST_BUDGETS}"
            self.refused |= {"isoflop": reason, "parametric": reason}
            return
        n, d, c, loss = (self.data[name] for name in ("n", "d", "c", "loss"))
        self._try("isoflop", lambda: fit_isoflop(n, d, c, loss, **self._bootstrap))
        self._try("parametric", lambda: fit_parametric(n, d, loss, leave_out=self.config.leave_out, **self._bootstrap))
        for compute, reason in self.made["isoflop"].refused if "isoflop" in self.made else ():
            self.left_out.append(LeftOut(method="isoflop", reason=reason, compute=compute))
        if "parametric" in self.made and self.made["parametric"].spoilt:
            self._spoilt(self.made["parametric"])
            self._try("all_runs", lambda: fit_parametric(n, d, loss, leave_out=0, **self._bootstrap))

    def hyper_parameters(self) -> None:
        """Batch and learning rate."""
        c, batch, rate, loss = (self.data[name] for name in ("c", "batch", "learning_rate", "loss"))
        self._try("hyper_parameters", lambda: fit_hyper_parameters(c, batch, rate, loss, **self._bootstrap))
        for compute, reason in self.made["hyper_parameters"].small if "hyper_parameters" in self.made else ():
            self.left_out.append(LeftOut(method="hyper_parameters", reason=reason, compute=compute))

    def _spoilt(self, found: Parametric) -> None:
        order = np.argsort(self.data["d"] / self.data["n"])
        rank = {int(index): place + 1 for place, index in enumerate(order)}
        why = "asked for" if self.config.leave_out is not None else "its loss is far above what the other runs' law says"
        for index in found.spoilt:
            ratio = float(self.data["d"][index] / self.data["n"][index])
            reason = f"D/N of {ratio:.3g} is number {rank[index]} from below; {why}"
            self.left_out.append(LeftOut(method="parametric", reason=reason, row=self.rows[index]))

    @property
    def _bootstrap(self) -> dict[str, int]:
        return {"rounds": self.config.rounds, "seed": self.config.seed}

    def _try(self, name: str, method: Any) -> None:
        try:
            self.made[name] = method()
        except FitRefused as refusal:
            self.refused[name] = str(refusal)


def _completed(values: Mapping[str, Array], flops: float) -> dict[str, Array]:
    """The columns with the third of n, d and c where two are given: C = flops·N·D."""
    data = dict(values)
    if {"n", "d"} <= set(data) and "c" not in data:
        data["c"] = flops * data["n"] * data["d"]
    elif {"n", "c"} <= set(data) and "d" not in data:
        data["d"] = data["c"] / (flops * data["n"])
    elif {"d", "c"} <= set(data) and "n" not in data:
        data["n"] = data["c"] / (flops * data["d"])
    return data


def _isoflop(found: IsoFlop | None) -> dict[str, Any] | None:
    if found is None:
        return None
    profiles = [
        {
            "compute": profile.compute,
            "runs": len(profile.runs),
            "runs_in_window": len(profile.fitted),
            "n_optimum": dataclasses.asdict(profile.n_optimum),
            "d_optimum": dataclasses.asdict(profile.d_optimum),
            "loss": profile.loss,
        }
        for profile in found.profiles
    ]
    return {**(_estimates(found) or {}), "profiles": profiles}


def _parametric(found: Parametric | None) -> dict[str, Any] | None:
    if found is None:
        return None
    coefficients = {name: dataclasses.asdict(value) for name, value in found.coefficients.items()}
    return {**coefficients, **(_estimates(found) or {}), "runs": len(found.kept)}


def _estimates(found: Any) -> dict[str, Any] | None:
    """The fields of a result that are estimates."""
    if found is None:
        return None
    values = ((field.name, getattr(found, field.name)) for field in dataclasses.fields(found))
    return {name: dataclasses.asdict(value) for name, value in values if isinstance(value, Estimate)}
