"""One value of each kind that artifacts hold, written as tests of other stages need them."""

from collections.abc import Mapping

from components.artifacts import (
    BYTE_UNIGRAM,
    TRAIN,
    VALIDATION,
    ZLIB_9,
    BitsPerByteRow,
    Change,
    CheckReport,
    Contamination,
    DomainTokens,
    Expectation,
    Findings,
    JsonFile,
    Lineage,
    LineageNode,
    Mixture,
    ModelShape,
    Origin,
    Plan,
    PlanVerdict,
    PointOutcome,
    Prediction,
    RawSource,
    Repetition,
    Sample,
    ShardTokens,
    Span,
    TaskResult,
    TokenIndex,
    TrainingOutcome,
    TrainingProgress,
)

SHAPE = ModelShape(n_layer=2, d_model=64, n_head=4, n_kv_head=4, d_ffn=256, vocab_size=512, context=64)

MIXTURE = Mixture(
    shares={"code": 0.25, "网": 0.75}, epoch_limits={"code": 4.0, "网": 4.0}, language_shares={"网": {"en": 0.5, "zh": 0.5}}
)

PLAN = Plan(
    shape=SHAPE,
    tokens=64 * 32 * 10,
    batch_size=32,
    sequence_length=64,
    steps=10,
    learning_rate=1e-3,
    init_std=0.006,
    warmup_steps=2,
    compute=1e12,
    memory_bytes=10**6,
    law={"non_embedding_flops_per_token": 8e5, "tokens": 20_000.0, "batch_tokens": 2_000.0, "learning_rate": 2.3e-3},
    notes=("the law extrapolates",),
    flops_per_token={"non_embedding": 8e5, "six_n": 5.9e5},
    prediction=Prediction(loss=2.1, low=2.0, high=2.2),
    predicted_figure="bits_per_byte",
)

OUTCOME = TrainingOutcome(
    steps=10, tokens=20_480, loss=5.25, bits_per_byte=2.31, bits_per_byte_by_domain={"code": 2.25, "prose": 2.5}
)

VERDICT = PlanVerdict(figure="bits_per_byte", predicted=2.1, low=2.0, high=2.2, actual=2.31, position="above", excess=0.1)

BITS = {"base": (2.0, 2.2), "dpo": (2.1, 2.3), BYTE_UNIGRAM: (4.6, 4.4), ZLIB_9: (2.0, 3.9)}

FINDINGS = Findings(
    domain_shares={"code": 0.5, "prose": 0.5},
    bits_per_byte=tuple(
        BitsPerByteRow(model=model, domain=domain, bits_per_byte=value, documents=9, bytes=12345)
        for model, values in BITS.items()
        for domain, value in zip(("code", "prose"), values, strict=True)
    ),
    tasks=(
        TaskResult(model="dpo", task="answer-choice", metric="acc_norm", value=0.4, items=50, chance=0.25),
        TaskResult(
            model="dpo", task="quiz", metric="acc", value=0.45, items=1200, chance=0.25, clean_value=0.44, clean_items=1160
        ),
    ),
    contamination=(Contamination(benchmark="quiz", items=1200, contaminated=30, not_searched=10, documents=41),),
    alignment=(Change(measure="answer_loss", kind="all", before=3.5, after=2.5, after_low=2.25, after_high=2.75),),
    repetition=(Repetition(model="dpo", repetition_ratio=0.125, distinct_answers=0.75, prompts=8),),
    samples=(Sample(prompt="Hello\u2028", model="dpo", answer="你好"),),
    origins=(
        Origin(source="python-environment:", domain="code", language="code", licence="MIT", documents=8, bytes=9000),
        Origin(source="python-environment:", domain="prose", language="en", licence="", documents=2, bytes=3000),
        Origin(source="file:books|old", domain="prose", language="en", licence="MIT", documents=1, bytes=1000),
    ),
    definitions={"aggregate": "Bits per byte of the domains, weighted by fixed shares."},
)


def domain_tokens(tokens: int, languages: Mapping[str, int] | None = None) -> DomainTokens:
    """A domain in one file; `languages` have the tokens in that order."""
    spans, start = {}, 0
    for language, count in (languages or {}).items():
        spans[language] = Span(start=start, tokens=count)
        start += count
    shards = (ShardTokens(name="tokens-00000.bin", tokens=tokens),)
    return DomainTokens(tokens=tokens, documents=1 + tokens // 1000, bytes=4 * tokens, shards=shards, languages=spans)


def index_of(train: Mapping[str, DomainTokens], vocab_size: int = 512) -> TokenIndex:
    """The index of token shards with those training tokens."""
    return TokenIndex(dtype="uint16", vocab_size=vocab_size, splits={TRAIN: train, VALIDATION: {}})


INDEX = index_of({"code": domain_tokens(100), "网": domain_tokens(71, {"en": 50, "zh": 21})})

LINEAGE = Lineage(
    root="digest-of-dpo",
    artifacts={
        node.evidence_digest: node
        for node in (
            LineageNode(
                step="dpo",
                kind="Checkpoint",
                content_digest="content-of-dpo",
                evidence_digest="digest-of-dpo",
                uri="artifacts/dpo/1",
                config={"type": "DPOConfig", "beta": 0.1, "resume": True, "start": None, "sources": ["网"]},
                code_digest="code-of-dpo",
                environment_digest="environment",
                figures={"loss": {"before": 0.5}},
                checks=(CheckReport(name="dpo", expectations=(Expectation(name="loss falls", observed="", passed=True),)),),
                inputs={"corpus": "digest-of-curation"},
            ),
            LineageNode(
                step="curation",
                kind="Corpus",
                content_digest="content-of-curation",
                evidence_digest="digest-of-curation",
                config={},
                code_digest="code-of-curation",
                environment_digest="environment",
                figures={},
                raw=(RawSource(source="file:books|old", files=2, bytes=12, sha256="raw"),),
            ),
        )
    },
)

FILES: tuple[JsonFile, ...] = (
    LINEAGE,
    MIXTURE,
    PLAN,
    OUTCOME,
    PointOutcome(trained=OUTCOME),
    TrainingProgress(step=8, steps=10, tokens=16_384),
    VERDICT,
    FINDINGS,
    INDEX,
)
"""A value of each kind of file that this package defines."""
