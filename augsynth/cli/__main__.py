"""``python -m augsynth.cli``."""

from augsynth.cli.entry import main

if __name__ == "__main__":
    main()
