"""From a fit to a law that plans can be made by."""

import dataclasses

import numpy as np

from components.errors import ConfigError
from components.flops import SCALES
from components.scaling.fitting.fit import Fit
from components.scaling.fitting.hyper_parameters import HyperParameters
from components.scaling.laws.law import Law, PowerLaw, allocation


def law_of(fit: Fit, *, name: str, data: str, base: Law | None = None) -> Law:
    """The law: allocation by the IsoFLOP profiles, or by the parametric fit where there are none; losses by the parametric fit.

    Args:
        fit: the fits of a table of runs.
        name: of the law.
        data: what the runs were trained on, or the table's name.
        base: the law that gives what was not fitted.

    Raises:
        ConfigError: columns in other units than their names promise, or no allocation fitted and no base.
    """
    if fit.isoflop is None and fit.parametric is None:
        if base is None:
            raise ConfigError("batch and learning rate alone make no law; name one for the rest, such as --base deepseek")
        return _with_hyper_parameters(dataclasses.replace(base, name=name), fit.hyper_parameters)
    flops = SCALES[fit.config.scale]
    _refuse_other_units(fit, flops)
    model, tokens = _allocation(fit, flops)
    compute = fit.data["c"]
    law = Law(
        name=name,
        source="fitted by longrun: " + " and ".join(fit.methods),
        data=data,
        model=model,
        tokens=tokens,
        scale=fit.config.scale,
        fitted=(float(compute.min()), float(compute.max())),
        runs=tuple(zip(*(fit.data[name].tolist() for name in ("n", "d", "loss")), strict=True)),
        loss=fit.parametric.loss if fit.parametric else None,
        batch_tokens=base.batch_tokens if base else None,
        learning_rate=base.learning_rate if base else None,
    )
    return _with_hyper_parameters(law, fit.hyper_parameters)


def _allocation(fit: Fit, flops: float) -> tuple[PowerLaw, PowerLaw]:
    if fit.isoflop is not None:
        exponent, coefficient = fit.isoflop.n_exponent.value, fit.isoflop.n_coefficient.value
        model = PowerLaw(exponent=exponent, coefficient=coefficient)
        return model, PowerLaw(exponent=1 - exponent, coefficient=1 / (flops * coefficient))
    if fit.parametric is None:
        raise ConfigError("a fit without an allocation gives no law")
    return allocation(fit.parametric.loss, flops)


def _with_hyper_parameters(law: Law, fitted: HyperParameters | None) -> Law:
    if fitted is None:
        return law
    return dataclasses.replace(
        law,
        batch_tokens=PowerLaw(exponent=fitted.batch_exponent.value, coefficient=fitted.batch_coefficient.value),
        learning_rate=PowerLaw(exponent=fitted.learning_rate_exponent.value, coefficient=fitted.learning_rate_coefficient.value),
    )


def _refuse_other_units(fit: Fit, flops: float) -> None:
    """Refuse columns such as N in millions, by which no shape could be planned."""
    ratio = float(np.median(fit.data["c"] / (fit.data["n"] * fit.data["d"])))
    if not flops / 2 < ratio < flops * 2:
        raise ConfigError(
            f"C / (N·D) of the table is {ratio:.3g}; a law that plans needs about {flops:g}: parameters, tokens and FLOPs, "
            "not millions of them, or another --scale"
        )
