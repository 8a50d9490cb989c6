"""The judges: classifiers that take a table as it comes, and the figures that they score on held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["held_out_figures", "judge", "judge_name"]

_SMALL = 1000  # training rows below which a linear judge is the steadier one
_MAX_LEVELS = 200  # of a categorical column; rarer levels are taken together


def judge_name(name: str, n_rows: int) -> str:
    """Say which estimator ``auto`` is: a linear one on small tables, boosted trees on larger ones."""
    if name != "auto":
        return name
    return "logistic_regression" if n_rows < _SMALL else "gradient_boosting"


def judge(name: str, X: pd.DataFrame, *, random_state: int) -> Any:
    """Make an unfitted classifier that takes the columns of ``X`` as they are, missing cells included.

    Parameters
    ----------
    name : {"gradient_boosting", "logistic_regression", "random_forest"}
    X : DataFrame
        Only its column types are looked at.
    random_state : int
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numeric = [column for column in X.columns if _is_number(X[column])]
    other = [column for column in X.columns if column not in numeric]
    if name == "logistic_regression":
        from sklearn.linear_model import LogisticRegression

        numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
        words = OneHotEncoder(handle_unknown="ignore", max_categories=_MAX_LEVELS, sparse_output=False)
        final: Any = LogisticRegression(max_iter=1000)
    else:
        numbers = SimpleImputer(keep_empty_features=True) if name == "random_forest" else "passthrough"
        words = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=np.nan if name == "gradient_boosting" else -1,
            encoded_missing_value=np.nan if name == "gradient_boosting" else -2,
            max_categories=_MAX_LEVELS,
        )
        final = _trees(name, len(other), random_state)
    columns = ColumnTransformer([("categories", words, other), ("numbers", numbers, numeric)])
    return make_pipeline(columns, final)


def _trees(name: str, n_categorical: int, random_state: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    if name == "random_forest":
        return RandomForestClassifier(n_estimators=100, min_samples_leaf=2, random_state=random_state)
    # The encoder puts the categorical columns first.
    return HistGradientBoostingClassifier(
        categorical_features=list(range(n_categorical)) or None,
        random_state=random_state,
        early_stopping=False,
    )


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def held_out_figures(estimator: Any, X: pd.DataFrame, y: pd.Series) -> dict[str, Any]:
    """Score a fitted classifier on rows that it never saw: overall, and the recall of each class."""
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, recall_score, roc_auc_score

    predicted = estimator.predict(X)
    labels = list(estimator.classes_)
    recalls = recall_score(y, predicted, labels=labels, average=None, zero_division=0)
    figures: dict[str, Any] = {"balanced_accuracy": float(balanced_accuracy_score(y, predicted))}
    if len(labels) == 2:
        chance = estimator.predict_proba(X)
        rare = 0 if (y == labels[0]).sum() <= (y == labels[1]).sum() else 1
        figures["roc_auc"] = float(roc_auc_score(y == labels[rare], chance[:, rare]))
        figures[f"average_precision of {labels[rare]}"] = float(
            average_precision_score(y == labels[rare], chance[:, rare])
        )
    figures |= {f"recall of {label}": float(value) for label, value in zip(labels, recalls, strict=True)}
    return figures
