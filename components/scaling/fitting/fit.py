"""Every fit that a table of runs allows, with the runs that were excluded and the methods that were refused."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.errors import ConfigError, FitRefused
from components.files import JSON
from components.flops import SCALES
from components.scaling.config import FitConfig
from components.scaling.fitting.hyper_parameters import HyperParameters, fit_hyper_parameters
from components.scaling.fitting.intervals import Estimate
from components.scaling.fitting.isoflop import MIN_BUDGETS, IsoFlop, budgets, fit_isoflop
from components.scaling.fitting.parametric import Parametric, fit_parametric
from components.scaling.fitting.robust import Array
from components.scaling.fitting.runs import Exclusion, Runs


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """The fits by method; None where a method was refused or its columns were not given."""

    config: FitConfig
    data: Mapping[str, Array]
    """The runs used, an array (R) for each of n, d, c, loss, batch and learning_rate that was given or follows from others."""
    isoflop: IsoFlop | None
    parametric: Parametric | None
    all_runs: Parametric | None
    """The parametric fit with nothing excluded, where something was."""
    hyper_parameters: HyperParameters | None
    refused: Mapping[str, str]
    """Methods that were refused, with the reason."""
    excluded: tuple[Exclusion, ...]

    @property
    def methods(self) -> list[str]:
        """The methods that fitted something."""
        methods = {"isoflop": self.isoflop, "parametric": self.parametric, "hyper_parameters": self.hyper_parameters}
        return [name for name, value in methods.items() if value is not None]

    def as_json(self) -> dict[str, JSON]:
        """The fit as JSON values, as `fit.json` holds it."""
        return {
            "methods": self.methods,
            "config": dataclasses.asdict(self.config),
            "runs": len(self.data["loss"]),
            "isoflop": _isoflop(self.isoflop),
            "parametric": _parametric(self.parametric),
            "parametric_with_all_runs": _parametric(self.all_runs),
            "hyper_parameters": _estimates(self.hyper_parameters),
            "refused": dict(self.refused),
            "left_out": [dataclasses.asdict(entry) for entry in self.excluded],
        }


def fit(runs: Runs, config: FitConfig) -> Fit:
    """Fit what the columns allow.

    IsoFLOP profiles and the parametric fit need two of n, d and c; the laws of batch and learning rate need c and both.

    Raises:
        ConfigError: columns that allow no fit.
        FitRefused: every fit that the columns allow was refused; the message says why.
    """
    data = _completed(runs.values, SCALES[config.scale])
    attempts = _Attempts(runs, data, config)
    if {"n", "d", "c"} <= set(data):
        attempts.allocation()
    if {"c", "batch", "learning_rate"} <= set(data):
        attempts.hyper_parameters()
    made = attempts.made
    if not made and not attempts.refused:
        raise ConfigError("these columns allow no fit; allowed: two of n, d and c, or c, batch and learning_rate, each with loss")
    if not made:
        raise FitRefused("nothing was fitted: " + "; ".join(f"{name}: {reason}" for name, reason in attempts.refused.items()))
    return Fit(
        config=config,
        data=data,
        isoflop=made.get("isoflop"),
        parametric=made.get("parametric"),
        all_runs=made.get("all_runs"),
        hyper_parameters=made.get("hyper_parameters"),
        refused=attempts.refused,
        excluded=tuple(attempts.excluded),
    )


class _Attempts:
    """Tries one method after another; what was fitted, refused and excluded."""

    def __init__(self, runs: Runs, data: Mapping[str, Array], config: FitConfig) -> None:
        self.rows, self.data, self.config = runs.rows, data, config
        self.made: dict[str, Any] = {}
        self.refused: dict[str, str] = {}
        self.excluded = list(runs.excluded)

    def allocation(self) -> None:
        """IsoFLOP profiles and the parametric fit."""
        count = len(budgets(self.data["c"]))
        if count < MIN_BUDGETS:
            reason = f"{count} budgets; a law of compute needs at least {MIN_BUDGETS}"
            self.refused |= {"isoflop": reason, "parametric": reason}
            return
        n, d, c, loss = (self.data[name] for name in ("n", "d", "c", "loss"))
        self._try("isoflop", lambda: fit_isoflop(n, d, c, loss, **self._bootstrap))
        self._try("parametric", lambda: self._parametric(self.config.leave_out))
        for compute, reason in self.made["isoflop"].refused if "isoflop" in self.made else ():
            self.excluded.append(Exclusion(method="isoflop", reason=reason, compute=compute))
        if "parametric" in self.made and self.made["parametric"].outliers:
            self._exclude_outliers(self.made["parametric"])
            self._try("all_runs", lambda: self._parametric(0))

    def hyper_parameters(self) -> None:
        """Batch and learning rate."""
        c, batch, rate, loss = (self.data[name] for name in ("c", "batch", "learning_rate", "loss"))
        self._try("hyper_parameters", lambda: fit_hyper_parameters(c, batch, rate, loss, **self._bootstrap))
        for compute, reason in self.made["hyper_parameters"].refused if "hyper_parameters" in self.made else ():
            self.excluded.append(Exclusion(method="hyper_parameters", reason=reason, compute=compute))

    def _exclude_outliers(self, parametric: Parametric) -> None:
        ratios = self.data["d"] / self.data["n"]
        number = {int(index): position + 1 for position, index in enumerate(np.argsort(ratios))}
        why = "asked for" if self.config.leave_out is not None else "its loss is far above what the other runs' law says"
        for index in parametric.outliers:
            reason = f"D/N of {float(ratios[index]):.3g} is number {number[index]} from below; {why}"
            self.excluded.append(Exclusion(method="parametric", reason=reason, row=self.rows[index]))

    def _parametric(self, leave_out: int | None) -> Parametric:
        n, d, loss = (self.data[name] for name in ("n", "d", "loss"))
        return fit_parametric(n, d, loss, leave_out=leave_out, rounds=self.config.rounds, seed=self.config.seed)

    @property
    def _bootstrap(self) -> dict[str, int]:
        return {"rounds": self.config.rounds, "seed": self.config.seed}

    def _try(self, name: str, method: Any) -> None:
        try:
            self.made[name] = method()
        except FitRefused as refusal:
            self.refused[name] = str(refusal)


def _completed(values: Mapping[str, Array], flops: float) -> dict[str, Array]:
    """The columns, with the third of n, d and c where two are given: C = flops·N·D."""
    data = dict(values)
    if {"n", "d"} <= set(data) and "c" not in data:
        data["c"] = flops * data["n"] * data["d"]
    elif {"n", "c"} <= set(data) and "d" not in data:
        data["d"] = data["c"] / (flops * data["n"])
    elif {"d", "c"} <= set(data) and "n" not in data:
        data["n"] = data["c"] / (flops * data["d"])
    return data


def _isoflop(laws: IsoFlop | None) -> dict[str, JSON] | None:
    if laws is None:
        return None
    profiles: list[JSON] = [
        {
            "compute": profile.compute,
            "runs": len(profile.runs),
            "runs_in_window": len(profile.fitted),
            "n_optimum": dataclasses.asdict(profile.n_optimum),
            "d_optimum": dataclasses.asdict(profile.d_optimum),
            "loss": profile.loss,
        }
        for profile in laws.profiles
    ]
    return {**(_estimates(laws) or {}), "profiles": profiles}


def _parametric(law: Parametric | None) -> dict[str, JSON] | None:
    if law is None:
        return None
    coefficients = {name: dataclasses.asdict(value) for name, value in law.coefficients.items()}
    return {**coefficients, **(_estimates(law) or {}), "runs": len(law.kept)}


def _estimates(fitted: Any) -> dict[str, JSON] | None:
    """The fields of a fit that are estimates."""
    if fitted is None:
        return None
    values = ((field.name, getattr(fitted, field.name)) for field in dataclasses.fields(fitted))
    return {name: dataclasses.asdict(value) for name, value in values if isinstance(value, Estimate)}
