"""How fast training goes: tokens per second, and the share of the device's peak that the model's FLOPs reach."""

from dataclasses import dataclass

import torch

from components.training.device import peak_flops


@dataclass(frozen=True)
class Meter:
    """Turns the tokens and seconds of a step into figures."""

    flops_per_token: float | None
    """FLOPs of forward and backward for one token."""
    peak: float | None
    """FLOP/s of all workers' devices together; None where not known."""

    @classmethod
    def of(cls, device: torch.device, precision: str, flops_per_token: float | None, workers: int) -> "Meter":
        """The meter of `workers` devices of one kind."""
        peak = peak_flops(device, precision)
        return cls(flops_per_token, None if peak is None else peak * workers)

    def figures(self, tokens: float, seconds: float) -> dict[str, float]:
        """tokens_per_second of all workers, and model_flops_utilisation (PaLM, arXiv 2204.02311, appendix B) where known."""
        rate = tokens / seconds if seconds > 0 else 0.0
        if self.flops_per_token is None or self.peak is None:
            return {"tokens_per_second": rate}
        return {"tokens_per_second": rate, "model_flops_utilisation": rate * self.flops_per_token / self.peak}
