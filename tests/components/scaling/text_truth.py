"""A small law of a text with two vocabularies."""

from components.scaling.laws.law import Law, LossLaw, PowerLaw, allocation
from components.scaling.laws.text_law import TextLaw, VocabularyLaw


def vocabulary(vocab_size: int, A: float, B: float, bytes_per_token: float) -> VocabularyLaw:
    loss = LossLaw(E=1.0, A=A, B=B, alpha=0.3, beta=0.4, draws=((1.0, A, B, 0.3, 0.4, 0.01), (1.0, A, B, 0.3, 0.4, -0.01)))
    model, tokens = allocation(loss, 1.0)
    law = Law(
        name=str(vocab_size),
        source="",
        data="",
        model=model,
        tokens=tokens,
        loss=loss,
        figure="bits_per_byte",
        runs=((1e6, 1e6, 2.0),),
    )
    return VocabularyLaw(vocab_size=vocab_size, bytes_per_token=bytes_per_token, law=law)


LAW = TextLaw(
    name="mine",
    source="fitted",
    data="a text",
    vocabularies=(vocabulary(512, 60.0, 440.0, 2.0), vocabulary(1024, 55.0, 480.0, 2.5)),
    sequence_length=256,
    aspect=(32.0, 48.0),
    batch_tokens=PowerLaw(coefficient=0.3, exponent=0.3),
    learning_rate=PowerLaw(coefficient=0.3, exponent=-0.1),
)
