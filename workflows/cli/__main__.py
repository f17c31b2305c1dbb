"""`python -m workflows.cli`: the same as the console script `longrun`."""

from workflows.cli.main import main

main()
