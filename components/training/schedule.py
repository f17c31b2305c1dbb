"""Computes the learning rate of each step, as a pure function of its number."""

import bisect
import math

from components.training.config import ScheduleConfig, TrainingSettings, first_step


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """The learning rate of `step`, from 0.

    Linear warm-up, whose last step has the maximum, then the schedule (DeepSeek LLM, arXiv 2401.02954, section 2.3). All steps
    have the same number of tokens, so a fraction of the steps is the same fraction of the tokens.
    """
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    return settings.learning_rate * _factor(step, settings)


def common_steps(settings: TrainingSettings) -> int:
    """Number of first steps that are the same in a longer training run with the same settings.

    Multi-step: up to the first drop of the learning rate; the paper reuses this stage (section 2.3). Constant: all steps.
    Cosine: 0, because after the warm-up the rate depends on the length of the training, and the warm-up is too short to be
    worth sharing.
    """
    if settings.config.schedule.kind == "constant":
        return settings.steps
    if settings.config.schedule.kind == "cosine" or not settings.config.schedule.milestones:
        return 0
    return max(settings.warmup_steps, first_step(settings.config.schedule.milestones[0], settings.steps))


def _factor(step: int, settings: TrainingSettings) -> float:
    if settings.config.schedule.kind == "multi-step":
        return _multi_step(step / settings.steps, settings.config.schedule)
    if settings.config.schedule.kind == "cosine":
        return _cosine((step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps), settings.config.schedule)
    return 1.0


def _multi_step(progress: float, schedule: ScheduleConfig) -> float:
    return (1.0, *schedule.factors)[bisect.bisect_right(schedule.milestones, progress)]


def _cosine(progress: float, schedule: ScheduleConfig) -> float:
    """Half a cosine from 1 to the final factor (SGDR without restarts, arXiv 1608.03983, equation 5)."""
    return schedule.final_factor + (1 - schedule.final_factor) * (1 + math.cos(math.pi * progress)) / 2
