"""Code that runs only in a step's pod: the process that starts and watches the step, and the step's clean exit."""
