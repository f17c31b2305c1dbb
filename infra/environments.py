"""One Flyte task environment for each kind of machine that the steps need."""

import flyte

cpu = flyte.TaskEnvironment(name="longrun-cpu", resources=flyte.Resources(cpu="2", memory="8Gi"))
"""Tokenizer, plans, checks, reports, registration."""

data = flyte.TaskEnvironment(name="longrun-data", resources=flyte.Resources(cpu="4", memory="16Gi"))
"""Shard work on Ray Data."""

train = flyte.TaskEnvironment(name="longrun-train", resources=flyte.Resources(cpu="4", memory="16Gi"))
"""Training on Ray Train."""

evaluate = flyte.TaskEnvironment(name="longrun-evaluate", resources=flyte.Resources(cpu="4", memory="16Gi"))
"""Scoring and generation."""

driver = flyte.TaskEnvironment(
    name="longrun-driver", resources=flyte.Resources(cpu="1", memory="2Gi"), depends_on=[cpu, data, train, evaluate]
)
"""The pipeline itself: decides what to reuse, and waits."""
