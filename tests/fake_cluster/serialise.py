"""Prints as JSON every task of the pipeline as serialised for Flyte in this process's environment, and the modules it loaded."""

import json
import sys

from flyte._internal.runtime.task_serde import translate_task_to_wire
from flyte.models import SerializationContext
from google.protobuf.json_format import MessageToDict

import workflows.running
from infra.bundle import PROJECT_ROOT
from infra.flyte import environments


def main() -> None:
    """Serialise the driver's tasks and those of every environment that it depends on."""
    context = SerializationContext(version="1", project="longrun", domain="development", root_dir=PROJECT_ROOT)
    loaded = [name for name in ("ray", "kubernetes", "torch") if name in sys.modules]
    tasks = {}
    for environment in (environments.driver, *environments.driver.depends_on):
        for task in environment.tasks.values():
            wire = MessageToDict(translate_task_to_wire(task, context))["taskTemplate"]
            tasks[f"{environment.name.removeprefix('longrun-')}.{task.func.__name__}"] = wire
    print(json.dumps({"tasks": tasks, "loaded": loaded, "pipeline": workflows.running.__name__}))


if __name__ == "__main__":
    main()
