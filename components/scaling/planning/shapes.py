"""The decoder shape nearest to a model scale, in the proportions of the paper's models."""

import functools
import math
from collections.abc import Iterator

from components.artifacts import ModelShape
from components.errors import ConfigError
from components.flops import scale_of
from components.training.parallel.layout import ParallelLayout

ASPECT = 108.0
"""d_model / n_layer: the geometric mean of the paper's 4096 / 30 and 8192 / 95 (table 2)."""

ASPECT_WEIGHT = 0.1
"""Weight of a factor in proportions against the same factor in M: proportions hardly matter (arXiv 2001.08361, figure 5)."""

WIDTHS = (
    *range(64, 512, 64),
    *range(512, 1024, 128),
    *range(1024, 4096, 256),
    *range(4096, 8192, 512),
    *range(8192, 65_536 + 1, 1024),
)
"""Widths to try, in steps of about an eighth: with an even number of heads from 512 on, and a multiple of 8 from 8 192 on."""


def nearest_shape(
    wanted: float,
    *,
    vocab_size: int,
    sequence_length: int,
    scale: str = "non_embedding_flops_per_token",
    layout: ParallelLayout = ParallelLayout(),  # noqa: B008  (frozen)
) -> ModelShape:
    """The shape whose model scale is nearest to `wanted` among those that divide by `layout`, with the sequence as context.

    Args:
        wanted: model scale S, counted as `scale` says (`components.scaling.laws.law.SCALES`).

    Raises:
        ConfigError: no shape tried divides by the layout.
    """
    shape_of = functools.partial(_shape, vocab_size=vocab_size, context=sequence_length)

    def scale_at(n_layer: int, d_model: int) -> float:
        return scale_of(shape_of(n_layer, d_model), sequence_length, scale)

    def distance(shape: ModelShape) -> float:
        ratio = scale_of(shape, sequence_length, scale) / wanted
        aspect = shape.d_model / shape.n_layer / ASPECT
        return abs(math.log(ratio)) + ASPECT_WEIGHT * abs(math.log(aspect))

    tried = [
        shape_of(n_layer, d_model)
        for d_model in WIDTHS
        for n_layer in _depths(wanted, scale_at(1, d_model), scale_at(2, d_model), layout.pipeline)
    ]
    fitting = [shape for shape in tried if not layout.misfit(shape)]
    if not fitting:
        raise ConfigError(f"no shape divides by {layout}; allowed: a divisor of heads and of the vocabulary of {vocab_size}")
    return min(fitting, key=distance)


SMALL_WIDTHS = (*range(32, 512, 32), *range(512, 1024, 64), *range(1024, 4096 + 1, 128))
"""Widths to try for the law of a text, which is fitted on small models."""


def small_shapes(vocab_size: int, sequence_length: int, aspect: tuple[float, float]) -> Iterator[ModelShape]:
    """Shapes with d_model / n_layer within `aspect`: heads of 32 below a width of 256, of 64 above, FFN of 8/3 d_model.

    The FFN is rounded up to a multiple of 32: one of 256, as in the paper, would be half as wide again in the smallest models.
    """
    for width in SMALL_WIDTHS:
        heads = width // (32 if width < 256 or width % 64 else 64)
        for n_layer in range(max(1, math.ceil(width / aspect[1])), math.floor(width / aspect[0]) + 1):
            yield ModelShape(
                n_layer=n_layer,
                d_model=width,
                n_head=heads,
                n_kv_head=heads,
                d_ffn=d_ffn(width, 32),
                vocab_size=vocab_size,
                context=sequence_length,
            )


def d_ffn(d_model: int, multiple: int = 256) -> int:
    """8/3 d_model, rounded up to a multiple, by default of 256: 11 008 and 22 016 for the paper's widths."""
    return math.ceil(8 * d_model / 3 / multiple) * multiple


def _depths(wanted: float, single: float, double: float, stages: int) -> tuple[int, int]:
    """The two numbers of layers around the wanted scale, multiples of `stages`, from the scales of one and of two layers."""
    stage = stages * (double - single)
    shallow = max(1, math.floor((wanted - (2 * single - double)) / stage))
    return stages * shallow, stages * (shallow + 1)


def _shape(n_layer: int, d_model: int, *, vocab_size: int, context: int) -> ModelShape:
    """Heads of 128 from a width of 1 024 on, as in the paper, narrower below; 8 key and value heads from the 67B's width on."""
    n_head = d_model // (128 if d_model >= 1024 else 64 if d_model >= 256 else 32)
    return ModelShape(
        n_layer=n_layer,
        d_model=d_model,
        n_head=n_head,
        n_kv_head=8 if d_model >= 8192 else n_head,
        d_ffn=d_ffn(d_model),
        vocab_size=vocab_size,
        context=context,
    )
