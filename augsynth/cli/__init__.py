"""The command line: ``augsynth list | show | validate | run | enlarge | fit | sample | check | impute``.

Exit codes, for scripts: 0 fine, 1 the run failed, 2 bad usage or recipe, 3 the data
cannot be used, 4 an output exists already (``--force`` replaces it), 130 interrupted.
Results go to standard output, progress and errors to standard error. Everything heavy
is imported by the command that needs it.
"""

from augsynth.cli.entry import app, main

__all__ = ["app", "main"]
