"""The shape of a decoder."""

from dataclasses import dataclass

from components.errors import require


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelShape:
    """The shape of a LLaMA decoder (paper, section 2.2, table 2)."""

    n_layer: int
    d_model: int
    n_head: int
    n_kv_head: int
    """Number of key and value heads; equal to `n_head` unless grouped-query attention is used."""
    d_ffn: int
    """Intermediate size of SwiGLU; the paper uses 8/3 d_model rounded up to a multiple of 256."""
    vocab_size: int
    """Rows of the embedding, including padding."""
    context: int
    """Maximum sequence length in tokens."""
    norm_epsilon: float = 1e-6
    """Epsilon of RMSNorm (https://huggingface.co/deepseek-ai/deepseek-llm-7b-base/blob/main/config.json); 1e-5 in LLaMA 2 and
    3."""
    rope_theta: float = 10_000.0
    """Base of the rotary wavelengths (RoFormer, arXiv 2104.09864, section 3.2.2). 10 000 in DeepSeek LLM's config, 500 000 in
    LLaMA 3."""

    def __post_init__(self) -> None:
        for name in ("n_layer", "d_model", "n_head", "n_kv_head", "d_ffn", "vocab_size", "context"):
            value = getattr(self, name)
            require(isinstance(value, int) and value > 0, self, name, value, "a positive integer")
        for name in ("norm_epsilon", "rope_theta"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive number")
        require(self.d_model % self.n_head == 0, self, "n_head", self.n_head, f"a divisor of d_model {self.d_model}")
        require(self.d_model // self.n_head % 2 == 0, self, "n_head", self.n_head, "an even d_model / n_head (rotary pairs)")
        require(self.n_head % self.n_kv_head == 0, self, "n_kv_head", self.n_kv_head, f"a divisor of n_head {self.n_head}")

    @property
    def d_head(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_head
