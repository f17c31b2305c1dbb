"""Makes the model card, in the format of the Hugging Face hub.

Format: https://huggingface.co/docs/hub/model-cards. The sections follow Mitchell et al., "Model Cards for Model Reporting"
(arXiv 1810.03993).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components.artifacts import CheckReport, Findings, Lineage, Origin, Plan, PlanVerdict
from components.flops import SCALES, scale_of
from components.registration.config import RegistrationConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The facts about a model that its card shows."""

    findings: Findings
    """Results of the evaluation."""
    plan: Plan
    """Training plan of the base model."""
    lineage: Lineage
    """Lineage of the checkpoint."""
    checks: tuple[CheckReport, ...]
    """All checks of the run."""
    parameters: int
    """Number of weights."""
    verdicts: tuple[PlanVerdict, ...] = ()
    """Comparisons of a training's result with the prediction of its plan."""


def model_card(config: RegistrationConfig, facts: Facts) -> str:
    """The text of `README.md` in the registered directory."""
    name = config.name or "model"
    sections = [
        _front_matter(config, facts),
        f"# {name}\n\nA LLaMA-style language model with {facts.parameters:,} parameters, trained with longrun by the recipe of "
        "DeepSeek LLM (arXiv 2401.02954): pretraining, supervised fine-tuning on conversations, preference optimisation.",
        f"## Intended use and limits\n\n{config.intended_use}",
        _HOW_TO_LOAD.replace("NAME", name).replace("ALIAS", config.alias),
        f"## Data\n\n{_data(facts.findings.origins)}",
        f"## Training plan\n\n{_plan(facts.plan)}",
        *(f"## Prediction and outcome\n\n{_verdict(verdict)}" for verdict in facts.verdicts),
        f"## Evaluation\n\n{_evaluation(facts.findings)}",
        f"## Checks\n\n{_checks(facts.checks)}",
        f"## Lineage\n\n{_lineage(facts.lineage)}",
    ]
    return "\n\n".join(sections) + "\n"


_HOW_TO_LOAD = """\
## How to load it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")  # this directory
model = AutoModelForCausalLM.from_pretrained(".")
messages = [{"role": "user", "content": "Hello"}]
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=64)[0]))
```

With MLflow: `mlflow.transformers.load_model("models:/NAME@ALIAS")`, or `mlflow.pyfunc.load_model` for a function of texts. With
longrun: `longrun generate NAME "Hello"`. There is no system prompt; answers end with the end-of-sentence token."""

_SUMMARY = ("Intended use and limits", "Evaluation", "Data", "Checks")
"""Headings of the sections that a summary has after the introduction, as far as they fit."""


def card_summary(card: str, max_characters: int) -> str:
    """The introduction of a model card and its most important sections, as Markdown of at most `max_characters` characters."""
    body = card.split("---\n", 2)[-1].strip()
    introduction, *sections = body.split("\n\n## ")
    by_heading = {section.partition("\n")[0]: f"\n\n## {section}" for section in sections}
    summary = introduction
    for heading in _SUMMARY:
        section = by_heading.get(heading, "")
        if len(summary) + len(section) <= max_characters:
            summary += section
    return summary if len(summary) <= max_characters else summary[: max_characters - 1] + "…"


def _front_matter(config: RegistrationConfig, facts: Facts) -> str:
    """The YAML header; strings are quoted as JSON, which is valid YAML."""
    languages = sorted({row.language for row in facts.findings.origins} & {"en", "zh"})
    values = {
        "license": config.licence,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["longrun", "llama"],
    } | ({"language": languages} if languages else {})
    return "\n".join(["---", *(f"{name}: {json.dumps(value)}" for name, value in values.items()), "---"])


def _data(origins: Sequence[Origin]) -> str:
    sources: dict[tuple[str, str], list[int]] = {}
    licences: dict[str, list[int]] = {}
    for row in origins:
        for total in (sources.setdefault((row.source, row.domain), [0, 0]), licences.setdefault(row.licence, [0, 0])):
            total[0] += row.documents
            total[1] += row.bytes
    by_bytes = sorted(licences.items(), key=lambda item: (-item[1][1], item[0]))
    return "\n\n".join(
        [
            "Training and held-out documents together, after filtering and deduplication.",
            _table(
                ["source", "domain", "documents", "bytes"],
                ([*key, *map(_count, total)] for key, total in sorted(sources.items())),
            ),
            "Licences as stated by the sources of the documents:",
            _table(["licence", "documents", "bytes"], ([key or "not stated", *map(_count, total)] for key, total in by_bytes)),
        ]
    )


def _plan(plan: Plan) -> str:
    """A table of the chosen values and those of the scaling law, the prediction and the notes of the plan."""
    shape = plan.shape
    chosen: dict[str, object] = {
        "compute": plan.compute,
        "shape": f"{shape.n_layer} layers of width {shape.d_model}, {shape.n_head} heads",
        **{name: scale_of(shape, plan.sequence_length, name) for name in plan.law if name in SCALES},
        "tokens": plan.tokens,
        "batch_tokens": plan.batch_size * plan.sequence_length,
        **{name: getattr(plan, name) for name in ("learning_rate", "sequence_length", "steps", "warmup_steps", "init_std")},
    }
    rows = [[name.replace("_", " "), _value(value), _value(plan.law.get(name))] for name, value in chosen.items()]
    sections = ["Chosen values, and the scaling law's values for the same budget.", _table(["figure", "chosen", "law"], rows)]
    if plan.prediction is not None:
        words, expected = plan.predicted_figure.replace("_", " "), plan.prediction
        interval = f"95 % interval {expected.low:.4f} to {expected.high:.4f}"
        sections.append(f"The law predicted {expected.loss:.4f} {words} ({interval}).")
    return "\n\n".join([*sections, *(["\n".join(f"- {note}" for note in plan.notes)] if plan.notes else [])])


def _verdict(verdict: PlanVerdict) -> str:
    """The prediction of the scaling law before the training, and the measured result."""
    direction = "above" if verdict.excess > 0 else "below"
    return (
        f"Before the base model was trained, the scaling law of its plan predicted {verdict.predicted:.4f} "
        f"{verdict.figure_in_words}, with a 95 % interval from {verdict.low:.4f} to {verdict.high:.4f}. The result was "
        f"{verdict.actual:.4f}: {verdict.position} the interval, {abs(verdict.excess):.2%} {direction} the prediction."
    )


def _evaluation(findings: Findings) -> str:
    bits, aggregate = findings.bits, findings.aggregate
    lines = [[m, *(f"{bits[m, d]:.3f}" for d in findings.domains), f"{aggregate[m]:.3f}"] for m in findings.models]
    tasks = [
        [row.task, row.metric, row.model, f"{row.value:.1%}", f"{row.chance:.1%}", str(row.items)]
        for row in findings.held_out_tasks
    ]
    head = ["model", *findings.domains, "aggregate"]
    sections = ["Bits per byte on held-out text, lower is better:", _table(head, lines)]
    if tasks:
        head = ["task", "metric", "model", "value", "chance", "items"]
        sections += ["Tasks cut from held-out text, and the recipe's own tasks:", _table(head, tasks)]
    return "\n\n".join([*sections, *_benchmarks(findings)])


def _benchmarks(findings: Findings) -> Iterator[str]:
    """Scores on all items and on clean items, and the number of items of each benchmark that were found in documents."""
    scores = [
        [
            *(row.task, row.metric, row.model),
            f"{row.value:.1%}",
            "–" if row.clean_value is None else f"{row.clean_value:.1%}",
            f"{row.chance:.1%}",
            *(_value(count) for count in (row.items, row.clean_items)),
        ]
        for row in findings.benchmarks
    ]
    if scores:
        yield "Public benchmarks, on all items and on clean items, of which no document contained a part:"
        yield _table(["benchmark", "metric", "model", "all items", "clean items", "chance", "items", "clean"], scores)
    counts = [
        [row.benchmark, *map(_count, (row.items, row.contaminated, row.not_searched, row.documents))]
        for row in findings.contamination
    ]
    if counts:
        yield "Benchmark items that were found in documents of the sources; these documents were refused:"
        yield _table(["benchmark", "items", "contaminated", "not searched for", "documents refused"], counts)


def _checks(checks: Sequence[CheckReport]) -> str:
    rows = sorted([check.name, "passed" if check.passed else "failed", str(len(check.expectations))] for check in checks)
    return _table(["check", "outcome", "expectations"], rows)


def _lineage(lineage: Lineage) -> str:
    nodes = list(lineage.nodes())
    rows = [
        [node.step, node.kind, *(f"`{digest}`" for digest in (node.content_digest, node.evidence_digest, node.code_digest))]
        for node in nodes
    ]
    environments = sorted({node.environment_digest for node in nodes if node.environment_digest})
    raw = [source for node in nodes for source in node.raw]
    sections = [
        "Everything that this model was made from, down to the raw sources. `lineage.json` also has the configs and figures.",
        _table(["step", "kind", "content digest", "evidence digest", "code digest"], rows),
        f"Environment: {', '.join(f'`{digest}`' for digest in environments) or 'not recorded'}",
    ]
    if raw:
        counted = ([source.source, _count(source.files), _count(source.bytes), source.sha256] for source in raw)
        sections += ["Raw sources:", _table(["source", "files", "bytes", "sha256"], counted)]
    return "\n\n".join(sections)


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "; ".join(map(_value, value))
    return _count(value) if type(value) is int else str(value)


def _count(value: int) -> str:
    return f"{value:,}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)
