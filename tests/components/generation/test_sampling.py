"""Generation and scoring against the plain forward pass, one sequence at a time."""

import itertools

import pytest
import torch

from components.artifacts import ModelShape
from components.errors import ConfigError
from components.generation.sampling import choose, generate, score
from components.model.decoder import Decoder, initialise

SHAPE = ModelShape(n_layer=2, d_model=32, n_head=4, n_kv_head=2, d_ffn=48, vocab_size=64, context=32)
PROMPTS = [[5, 9, 2], [1], [7, 7, 3, 2, 8, 40, 11], [33, 12], [20, 21, 22, 23]]


@pytest.fixture(scope="module")
def model() -> Decoder:
    decoder = Decoder(SHAPE).double()
    initialise(decoder, std=0.3, seed=0)
    return decoder


def greedy_without_cache(model: Decoder, prompt: list[int], new: int, stop: int | None = None) -> list[int]:
    tokens = list(prompt)
    for _ in range(min(new, SHAPE.context - len(prompt))):
        token = int(model(torch.tensor([tokens]))[0, -1].argmax())
        if token == stop:
            break
        tokens.append(token)
    return tokens[len(prompt) :]


def test_a_greedy_batch_with_a_cache_is_greedy_without_a_cache_row_by_row(model: Decoder) -> None:
    batch = generate(model, PROMPTS, max_new_tokens=12)
    assert batch == [greedy_without_cache(model, prompt, 12) for prompt in PROMPTS]
    assert len({tuple(answer) for answer in batch}) > 1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_answers_do_not_depend_on_the_batches(model: Decoder, temperature: float) -> None:
    answers = [
        generate(model, PROMPTS, max_new_tokens=10, temperature=temperature, top_p=0.9, seed=3, batch_size=size, stop_ids=[4])
        for size in (1, 2, 5)
    ]
    assert answers[0] == answers[1] == answers[2]


def test_a_stop_id_ends_its_row_alone_and_is_left_out(model: Decoder) -> None:
    stop = greedy_without_cache(model, PROMPTS[0], 6)[3]
    batch = generate(model, PROMPTS, max_new_tokens=12, stop_ids=[stop])
    assert batch == [greedy_without_cache(model, prompt, 12, stop) for prompt in PROMPTS]
    assert len(batch[0]) <= 3


def test_each_row_goes_on_to_the_end_of_the_context(model: Decoder) -> None:
    assert [len(answer) for answer in generate(model, PROMPTS, max_new_tokens=100)] == [SHAPE.context - len(p) for p in PROMPTS]


def test_the_seed_decides_the_sample(model: Decoder) -> None:
    def sample(seed: int) -> list[list[int]]:
        return generate(model, PROMPTS, max_new_tokens=8, temperature=1.0, seed=seed)

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_draws_follow_the_distribution_and_stay_in_the_nucleus() -> None:
    logits = torch.tensor([0.1, 0.5, 0.25, 0.15]).log()
    draws = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    all_of = choose(logits.expand(1000, 4), draws, temperature=1.0, top_p=1.0).bincount(minlength=4)
    assert all_of.tolist() == [100, 500, 250, 150]
    nucleus = choose(logits.expand(1000, 4), draws, temperature=1.0, top_p=0.7).bincount(minlength=4)
    assert nucleus.tolist() == [0, 667, 333, 0]
    sharp = choose(logits.expand(1000, 4), draws, temperature=0.5, top_p=1.0).bincount(minlength=4)
    assert sharp[1] == pytest.approx(1000 * 0.25 / (0.01 + 0.25 + 0.0625 + 0.0225), abs=1)


def test_the_largest_draw_still_falls_on_a_token_of_the_nucleus() -> None:
    logits = torch.randn(50, 1000, generator=torch.Generator().manual_seed(0))
    chosen = choose(logits, torch.full((50,), 1 - 2**-53, dtype=torch.float64), temperature=1.0, top_p=0.5)
    probabilities, ids = logits.double().softmax(-1).sort(-1, descending=True)
    nucleus = (probabilities.cumsum(-1) - probabilities) < 0.5
    assert all(int(c) in ids[row][nucleus[row]].tolist() for row, c in enumerate(chosen))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"max_new_tokens": 1, "temperature": -1.0}, "temperature is -1.0"),
        ({"max_new_tokens": 1, "temperature": float("nan")}, "temperature is nan"),
        ({"max_new_tokens": 1, "top_p": 0.0}, "top_p is 0.0"),
        ({"max_new_tokens": 1, "batch_size": 0}, "batch_size is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(model: Decoder, settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(model, PROMPTS, **settings)  # type: ignore[arg-type]


def test_a_prompt_that_is_empty_or_fills_the_context_is_refused_by_number(model: Decoder) -> None:
    with pytest.raises(ConfigError, match=r"prompt 1 has 0 tokens; allowed: 1 to 31"):
        generate(model, [[1], []], max_new_tokens=1)
    with pytest.raises(ConfigError, match="prompt 0 has 32 tokens"):
        generate(model, [[1] * 32], max_new_tokens=1)


def test_no_prompts_give_no_answers(model: Decoder) -> None:
    assert generate(model, [], max_new_tokens=4) == []
    assert score(model, []) == []


def log_probability(model: Decoder, context: list[int], continuation: list[int]) -> float:
    tokens = torch.tensor([context + continuation])
    logs = model(tokens)[0].log_softmax(-1)
    return sum(logs[len(context) + i - 1, token].item() for i, token in enumerate(continuation))


REQUESTS = [([1, 2, 3], [4, 5]), ([9], [8, 7, 6, 5, 4]), ([3] * 20, [1]), ([2, 2], [2])]


@pytest.mark.parametrize("batch_tokens", [1, 25, 4096])
def test_scores_are_the_sums_of_the_plain_log_probabilities(model: Decoder, batch_tokens: int) -> None:
    scores = score(model, REQUESTS, batch_tokens=batch_tokens)
    assert [value for value, _ in scores] == pytest.approx([log_probability(model, *request) for request in REQUESTS])


def test_the_scores_of_all_continuations_of_a_length_sum_to_one(model: Decoder) -> None:
    requests = [([1, 2], list(pair)) for pair in itertools.product(range(SHAPE.vocab_size), repeat=2)]
    assert sum(torch.tensor([value for value, _ in score(model, requests)]).exp()).item() == pytest.approx(1.0, rel=1e-6)


def test_only_the_greedy_continuation_is_called_greedy(model: Decoder) -> None:
    (best,) = generate(model, [[1, 2]], max_new_tokens=3)
    other = [best[0], best[1], (best[2] + 1) % SHAPE.vocab_size]
    assert [greedy for _, greedy in score(model, [([1, 2], best), ([1, 2], other)])] == [True, False]


def test_a_context_too_long_loses_its_first_tokens(model: Decoder) -> None:
    long, continuation = [k % 60 for k in range(50)], [3, 4]
    assert score(model, [(long, continuation)])[0][0] == pytest.approx(score(model, [(long[-31:], continuation)])[0][0])


@pytest.mark.parametrize("request_", [([], [1]), ([1], []), ([1], [2] * 33)])
def test_requests_that_cannot_be_scored_are_refused(model: Decoder, request_: tuple[list[int], list[int]]) -> None:
    with pytest.raises(ConfigError, match="request 0 has"):
        score(model, [request_])
