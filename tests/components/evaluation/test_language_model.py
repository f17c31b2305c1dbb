"""The decoder behind lm-eval's interface, against log-probabilities worked out from its logits."""

import pytest
import torch
from lm_eval.api.instance import Instance

from components.evaluation.language_model import HarnessModel
from components.model import huggingface
from components.tokenizer.text_tokenizer import TextTokenizer

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def loaded(models):
    return huggingface.load(models.checkpoints["base"]).eval(), TextTokenizer.load(models.checkpoints["base"])


def request(kind, *arguments):
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


def by_hand(model, context, continuation):
    """Nats of the continuation, from the logits of one forward pass."""
    with torch.no_grad():
        logprobs = torch.log_softmax(model(torch.tensor([[*context, *continuation[:-1]]])), -1)[0]
    return sum(logprobs[len(context) - 1 + i, token].item() for i, token in enumerate(continuation))


def test_a_continuation_is_scored_after_bos_and_its_context(loaded):
    model, tokenizer = loaded
    ((score, greedy),) = HarnessModel(model, tokenizer, 4096).loglikelihood(
        [request("loglikelihood", "The alpha", " beta gamma")]
    )
    context = [tokenizer.bos_id, *tokenizer.encode("The alpha")]
    assert score == pytest.approx(by_hand(model, context, tokenizer.encode(" beta gamma")), rel=1e-5)
    assert greedy is False


def test_a_context_too_long_loses_its_beginning_but_not_bos(loaded):
    model, tokenizer = loaded
    long = "alpha beta gamma delta " * 40
    ((score, _),) = HarnessModel(model, tokenizer, 4096).loglikelihood([request("loglikelihood", long, " total")])
    after = tokenizer.encode(" total")
    context = [tokenizer.bos_id, *tokenizer.encode(long)[-(model.shape.context - len(after)) :]]
    assert score == pytest.approx(by_hand(model, context, after), rel=1e-5)


def test_without_context_the_continuation_follows_bos(loaded):
    model, tokenizer = loaded
    ((score, _),) = HarnessModel(model, tokenizer, 4096).loglikelihood([request("loglikelihood", "", "index")])
    assert score == pytest.approx(by_hand(model, [tokenizer.bos_id], tokenizer.encode("index")), rel=1e-5)


def test_a_rolling_text_is_scored_in_windows_every_token_once(loaded):
    model, tokenizer = loaded
    text = "alpha beta gamma delta value total " * 12
    ids, size = tokenizer.encode(text), model.shape.context
    assert len(ids) > size
    befores = [tokenizer.bos_id, *(ids[start - 1] for start in range(size, len(ids), size))]
    windows = [ids[start : start + size] for start in range(0, len(ids), size)]
    expected = sum(by_hand(model, [before], window) for before, window in zip(befores, windows, strict=True))
    (score,) = HarnessModel(model, tokenizer, 4096).loglikelihood_rolling([request("loglikelihood_rolling", text)])
    assert score == pytest.approx(expected, rel=1e-5)


def test_generation_is_greedy_and_ends_before_a_stop_text(loaded):
    model, tokenizer = loaded
    lm = HarnessModel(model, tokenizer, 4096)
    ask = lambda *until: lm.generate_until([request("generate_until", "The", {"until": list(until), "max_gen_toks": 12})])  # noqa: E731
    (whole,) = ask("never said")
    assert ask("never said") == [whole]
    assert len(whole) > 2
    assert ask("never said", whole[2]) == [whole[: whole.find(whole[2])]]


def test_a_prompt_longer_than_the_context_is_continued(loaded):
    model, tokenizer = loaded
    arguments = {"until": ["\n"], "max_gen_toks": 4}
    assert len(HarnessModel(model, tokenizer, 4096).generate_until([request("generate_until", "beta " * 500, arguments)])) == 1
