"""One report of everything: verdict, downstream, groups, fidelity, diversity, memorisation."""

__all__: list[str] = []
