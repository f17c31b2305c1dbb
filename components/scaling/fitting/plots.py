"""Plots of a fit, as SVG and PNG of equal bytes for equal fits."""

import io
from collections.abc import Callable, Iterator

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from components.artifacts import Plan, PlanVerdict
from components.flops import SCALES, scale_of
from components.scaling.fitting.fit import Fit
from components.scaling.fitting.hyper_parameters import NEAR, HyperParameters, Surface
from components.scaling.fitting.isoflop import IsoFlop
from components.scaling.fitting.robust import Array
from components.scaling.laws.law import Law, LossLaw, allocation

_SIZE = (7.5, 5.0)
"""Inches."""

_DOTS = 130
"""Per inch, of a PNG."""

_COLOURS = "viridis"

_LEVELS = (NEAR, 0.005, 0.01, 0.02, 0.04, 0.08)
"""Contours of the excess loss: near-optimal, then doubling."""


def plots(fit: Fit) -> Iterator[tuple[str, str, Figure]]:
    """Name, title and figure of each plot that the fit allows."""
    if fit.isoflop is not None:
        yield "isoflop", "IsoFLOP profiles", isoflop_plot(fit)
        yield "frontier", "Optimal frontier", drawn(lambda axes: _frontier(axes, fit, fit.isoflop))
    if fit.parametric is not None:
        yield "predicted", "Predicted against actual loss", drawn(lambda axes: _predicted(axes, fit))
    if fit.hyper_parameters is not None:
        yield "hyper-parameters", "Batch and learning rate", _contours(fit.hyper_parameters)


def isoflop_plot(fit: Fit) -> Figure:
    """The IsoFLOP profiles of a fit that has some."""
    return drawn(lambda axes: _profiles(axes, fit, fit.isoflop))


def verdict_plot(law: Law, plan: Plan, verdict: PlanVerdict) -> Figure:
    """The runs that a law was fitted to, its prediction for a training run with the interval, and what came out."""
    return drawn(lambda axes: _verdict(axes, law, plan, verdict))


def svg(figure: Figure) -> bytes:
    """The figure as SVG, with text as paths, so that it looks the same everywhere."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "longrun"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS, metadata={"Software": None})
    return buffer.getvalue()


def drawn(draw: Callable[[Axes], None]) -> Figure:
    """A figure of one diagram, in the style of all of them; a legend where `draw` has labelled something."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def _profiles(axes: Axes, fit: Fit, laws: IsoFlop | None) -> None:
    if laws is None:
        return
    budgets = np.log10([profile.compute for profile in laws.profiles])
    colours = ScalarMappable(Normalize(budgets.min(), budgets.max()), _COLOURS)
    axes.figure.colorbar(colours, ax=axes, label="log10 of C")
    for profile, colour in zip(laws.profiles, colours.to_rgba(budgets), strict=True):
        n, loss = fit.data["n"][profile.runs], fit.data["loss"][profile.runs]
        axes.plot(n, loss, "o", markersize=3.5, color=colour)
        fitted = np.log(fit.data["n"][profile.fitted]) - profile.centre
        u = np.linspace(fitted.min(), fitted.max(), 80)
        axes.plot(
            np.exp(u + profile.centre), np.exp(np.polynomial.polynomial.polyval(u, profile.curve)), color=colour, linewidth=1
        )
        axes.plot(profile.n_optimum.value, profile.loss, "*", markersize=10, color=colour)
    optima = [profile.loss for profile in laws.profiles]
    axes.set(xscale="log", xlabel="model scale N", ylabel="loss", ylim=(0.97 * min(optima), 1.15 * max(optima)))


def _frontier(axes: Axes, fit: Fit, laws: IsoFlop | None) -> None:
    if laws is None:
        return
    compute = np.array([profile.compute for profile in laws.profiles])
    line = np.geomspace(compute.min(), 10 * compute.max(), 60)
    series = (
        ("N", "tab:blue", [p.n_optimum for p in laws.profiles], laws.n_exponent, laws.n_coefficient),
        ("D", "tab:orange", [p.d_optimum for p in laws.profiles], laws.d_exponent, laws.d_coefficient),
    )
    for name, colour, optima, exponent, coefficient in series:
        value = np.array([optimum.value for optimum in optima])
        errors = [value - [optimum.low for optimum in optima], [optimum.high for optimum in optima] - value]
        axes.errorbar(compute, value, yerr=np.maximum(errors, 0), fmt="o", markersize=4, color=colour, capsize=2)
        label = f"{name}: exponent {exponent.value:.3f} [{exponent.low:.3f}, {exponent.high:.3f}]"
        axes.plot(line, coefficient.value * line**exponent.value, color=colour, label=label)
    if fit.parametric is not None:
        for power, colour in zip(
            allocation(fit.parametric.loss, SCALES[fit.config.scale]), ("tab:blue", "tab:orange"), strict=True
        ):
            axes.plot(line, [power.at(c) for c in line], "--", color=colour, label="by the parametric fit")
    axes.set(xscale="log", yscale="log", xlabel="compute C, FLOPs", ylabel="optimal N and D")


def _predicted(axes: Axes, fit: Fit) -> None:
    if fit.parametric is None:
        return
    law, data = fit.parametric.loss, fit.data
    predicted = law.E + law.A / data["n"] ** law.alpha + law.B / data["d"] ** law.beta
    kept, outliers = list(fit.parametric.kept), list(fit.parametric.outliers)
    colour = axes.scatter(predicted[kept], data["loss"][kept], c=np.log10(data["c"][kept]), cmap=_COLOURS, s=14)
    axes.figure.colorbar(colour, ax=axes, label="log10 of C")
    if outliers:
        axes.scatter(predicted[outliers], data["loss"][outliers], marker="x", color="tab:red", label="left out")
    ends = np.array([min(predicted.min(), data["loss"].min()), max(predicted[kept].max(), data["loss"][kept].max())])
    axes.plot(ends, ends, color="black", linewidth=0.8)
    axes.set(xlabel="loss by the law", ylabel="loss of the run")


def _verdict(axes: Axes, law: Law, plan: Plan, verdict: PlanVerdict) -> None:
    flops = SCALES[law.scale]
    compute = np.array([flops * scale * tokens for scale, tokens, _ in law.runs])
    target = flops * scale_of(plan.shape, plan.sequence_length, law.scale) * plan.tokens
    axes.plot(compute, [loss for _, _, loss in law.runs], "o", markersize=3, color="tab:grey", label="training runs fitted")
    if law.loss is not None:
        line = np.geomspace(min(compute.min(initial=target), target / 10), 2 * target, 60)
        axes.plot(
            line, _frontier_losses(law.loss, flops, line), color="tab:blue", linewidth=1, label="optimal frontier by the law"
        )
    errors = [[verdict.predicted - verdict.low], [verdict.high - verdict.predicted]]
    predicted = axes.errorbar([target], [verdict.predicted], yerr=errors, fmt="s", markersize=4, capsize=4, color="tab:blue")
    predicted.set_label("predicted, 95 % interval")
    axes.plot([target], [verdict.actual], "*", markersize=12, color="tab:red", label="came out")
    axes.set(xscale="log", xlabel="compute C, FLOPs", ylabel=verdict.figure_in_words)


def _frontier_losses(loss: LossLaw, flops: float, compute: Array) -> Array:
    model, tokens = allocation(loss, flops)
    return np.array([loss.at(model.at(c), tokens.at(c)) for c in compute])


def _contours(laws: HyperParameters) -> Figure:
    """A panel for each budget: the excess loss over batch and learning rate, and the optimum by the laws."""
    columns = min(3, len(laws.surfaces))
    rows = -(-len(laws.surfaces) // columns)
    figure = Figure(figsize=(3.4 * columns, 3.0 * rows), layout="constrained")
    for number, surface in enumerate(laws.surfaces, start=1):
        axes = figure.add_subplot(rows, columns, number)
        _contour(axes, surface)
        optimum = (
            laws.batch_coefficient.value * surface.compute**laws.batch_exponent.value,
            laws.learning_rate_coefficient.value * surface.compute**laws.learning_rate_exponent.value,
        )
        axes.plot(*np.log10(optimum), "*", color="tab:red", markersize=10)
        axes.set(title=f"{surface.compute:.2g} FLOPs", xlabel="log10 of the batch in tokens", ylabel="log10 of the learning rate")
    return figure


def _contour(axes: Axes, surface: Surface) -> None:
    x, y = np.log10(surface.batch), np.log10(surface.learning_rate)
    if _spans(x, y):
        axes.tricontourf(x, y, surface.excess, levels=[0, *_LEVELS], cmap=f"{_COLOURS}_r", extend="max")
    near = surface.excess <= NEAR
    axes.plot(x[~near], y[~near], ".", color="grey", markersize=3)
    axes.plot(x[near], y[near], ".", color="white", markeredgecolor="black", markersize=7)


def _spans(x: Array, y: Array) -> bool:
    """Whether the points lie on more than one line, as contours need."""
    return bool(np.linalg.matrix_rank(np.stack([x - x.mean(), y - y.mean()]), tol=1e-6) == 2)
