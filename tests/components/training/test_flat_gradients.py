"""Gradients of a single worker in fp32."""

from collections.abc import Iterator

import pytest
import torch

from components.training.engine import Engine, process_group
from components.training.parallel.placement import Coordinates
from tests.components.training.conftest import NextToken, RepeatedPairs, settings, small_model

CPU = torch.device("cpu")


@pytest.fixture
def engine() -> Iterator[Engine]:
    with process_group(CPU, 1):
        chosen = settings()
        engine = Engine(small_model(), NextToken(), chosen.config, "fp32", Coordinates.of(chosen.config.layout, 0, 1), CPU)
        yield engine
        engine.close()


def accumulate(engine: Engine, step: int, scale: float = 0.1) -> None:
    first, last = RepeatedPairs().micro_batches(step, 0, 1)
    for batch in (first, last):
        engine.backward(engine.forward(batch, scale, last=batch is last)[0])


def gradients_of_a_plain_model(step: int) -> list[torch.Tensor]:
    plain = small_model()
    for batch in RepeatedPairs().micro_batches(step, 0, 1):
        (NextToken()(plain, batch).loss * 0.1).backward()
    return [parameter.grad for parameter in plain.parameters() if parameter.grad is not None]


def gradients(engine: Engine) -> list[torch.Tensor]:
    return [parameter.grad for parameter in engine.measurable().parameters() if parameter.grad is not None]


def test_micro_batches_are_summed_in_one_tensor_and_nothing_is_copied(engine: Engine) -> None:
    storages = {gradient.untyped_storage().data_ptr() for gradient in gradients(engine)}
    accumulate(engine, 0)
    assert {gradient.untyped_storage().data_ptr() for gradient in gradients(engine)} == storages
    assert len(storages) == 2  # matrices, and vectors without weight decay
    for ours, theirs in zip(gradients(engine), gradients_of_a_plain_model(0), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_step_clips_by_the_norm_of_all_of_them_and_begins_again(engine: Engine) -> None:
    accumulate(engine, 0)
    expected = torch.linalg.vector_norm(torch.cat([gradient.flatten() for gradient in gradients_of_a_plain_model(0)]))
    assert engine.step(1e-2) == pytest.approx(float(expected), rel=1e-5)
    assert not any(gradient.any() for gradient in gradients(engine))


def test_gradients_that_are_not_finite_are_left_out_and_forgotten(engine: Engine) -> None:
    accumulate(engine, 0, scale=float("nan"))
    assert engine.step(1e-2) is None
    accumulate(engine, 0)
    for ours, theirs in zip(gradients(engine), gradients_of_a_plain_model(0), strict=True):
        torch.testing.assert_close(ours, theirs)
