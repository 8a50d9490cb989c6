"""Whom do the data and a model serve, and whom not? Groups, gaps with intervals, slices, remedies."""

__all__: list[str] = []
