"""Implements `longrun plan` for a compute budget or a model of the paper, and formats a plan as text."""

from dataclasses import replace

from components.errors import ConfigError
from components.scaling.config import Accelerators, ScalingConfig
from components.scaling.laws.files import find_law
from components.scaling.planning.notes import SCALE_NAMES
from components.scaling.planning.planner import Planner
from components.scaling.planning.proposal import PAPER_MODELS, Proposal, propose
from components.training.config import Choices


def proposal_for(
    *, compute: float | None, law: str, model: str, choices: Choices, vocab_size: int, accelerators: Accelerators | None
) -> Proposal:
    """The plan for a budget or for one of the paper's models. Raises `ConfigError` for neither, both, or a bad value."""
    if bool(model) == (compute is not None):
        raise ConfigError("a plan needs --compute or --model, and not both, such as: longrun plan --compute 1e21")
    if model and model not in PAPER_MODELS:
        raise ConfigError(f"--model is {model!r}; allowed: {', '.join(PAPER_MODELS)}")
    chosen = _with(PAPER_MODELS[model], choices) if model else choices
    planner = Planner(config=ScalingConfig(compute=compute), choices=chosen, vocab_size=vocab_size, law=find_law(law))
    return propose(planner, accelerators)


def _with(paper: Choices, choices: Choices) -> Choices:
    """The paper's values, except those that `choices` sets."""
    chosen = {name: getattr(choices, name) for name in ("tokens", "sequence_length") if getattr(choices, name) is not None}
    return replace(paper, training=choices.training, **chosen)


def plan_lines(made: Proposal) -> list[str]:
    """A plan as text: each value next to the one that the law recommends, then time, cost and memory."""
    plan, law = made.plan, made.plan.law
    shape, counted = plan.shape, plan.flops_per_token
    lines = [
        line("law", f"{made.law.name} ({made.law.source})"),
        line("compute", f"{plan.compute:.4g} FLOPs"),
        line("shape", f"{shape.n_layer} layers of width {shape.d_model}, FFN {shape.d_ffn}, vocabulary {shape.vocab_size}"),
        line("heads", f"{shape.n_head} of {shape.d_head}, {shape.n_kv_head} for keys and values"),
        line("tokens", f"{plan.tokens:.4g}", f"{law['tokens']:.4g}"),
        line(
            "batch", f"{plan.batch_size} sequences of {plan.sequence_length}", f"{law['batch_tokens'] / plan.sequence_length:.0f}"
        ),
        line("learning rate", f"{plan.learning_rate:.3g}", f"{law['learning_rate']:.3g}"),
        line("steps", f"{plan.steps}, {plan.warmup_steps} of them warm-up"),
        line("FLOPs per token, M", f"{counted['non_embedding']:.4g}"),
        line("  6N without embeddings", f"{counted['six_n']:.4g}, {counted['six_n_ratio']:.3f} of M"),
        line(
            "  6N with embeddings", f"{counted['six_n_with_embeddings']:.4g}, {counted['six_n_with_embeddings_ratio']:.3f} of M"
        ),
        line(f"optimum, {SCALE_NAMES[made.law.scale]}", "", f"{law[made.law.scale]:.4g}"),
        line("loss", _prediction(made)),
        line("memory per rank", f"{plan.memory_bytes / 1e9:.1f} GB"),
        *_cluster_lines(made),
    ]
    return [*lines, *(f"note: {note}" for note in plan.notes)]


def _prediction(made: Proposal) -> str:
    prediction = made.plan.prediction
    if prediction is None:
        return f"the law {made.law.name} predicts no loss; a law of your own runs does: longrun fit RUNS.csv --output law.json"
    return f"{prediction.loss:.4f}, 95 % of such runs between {prediction.low:.4f} and {prediction.high:.4f}"


def _cluster_lines(made: Proposal) -> list[str]:
    extra = made.accelerators
    if extra is None or made.hours is None or made.energy_kwh is None:
        return []
    cost = [] if made.cost is None else [line("cost", f"{made.cost:,.0f} at {extra.price:g} an hour")]
    return [
        line("time", f"{made.hours:,.1f} h on {extra.gpus} x {extra.gpu} at {extra.mfu:.0%} of their peak"),
        *cost,
        *([] if made.activation_checkpointing == "none" else [_checkpointing_line(made.activation_checkpointing)]),
        line("energy", f"{made.energy_kwh:,.0f} kWh of the accelerators alone"),
        *(
            line(
                "layout" if layout == made.layout else "  also fits",
                f"{layout.in_words()}: {memory / 1e9:.1f} GB",
            )
            for layout, memory in made.layouts
        ),
    ]


def _checkpointing_line(policy: str) -> str:
    return line("activation checkpointing", f"{policy}: without it no layout fits")


def line(name: str, value: str, law: str = "") -> str:
    """A line of a plan: the name, the value, and the law's value if it is given."""
    by_law = f"law {law}" if law else ""
    return f"{name:<42}{value:<44}{by_law}".rstrip()
