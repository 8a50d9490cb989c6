"""Where weights and other metadata go in an estimator that holds another one."""

from __future__ import annotations

from typing import Any

from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object, process_routing
from sklearn.utils.validation import has_fit_parameter

from augsynth.core.errors import ParameterError, sentence

__all__ = ["routed_fit", "weight_parameter"]


def weight_parameter(estimator: Any, where: str) -> str:
    """Return the name under which an estimator's ``fit`` takes weights.

    Parameters
    ----------
    estimator : estimator
        Of a pipeline, the last step's weights are meant.
    where : str
        For the message.

    Raises
    ------
    ParameterError
        Where it takes none.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> weight_parameter(make_pipeline(Ridge()), "Example")
    'ridge__sample_weight'
    """
    if has_fit_parameter(estimator, "sample_weight"):
        return "sample_weight"
    if get_config()["enable_metadata_routing"]:
        if get_routing_for_object(estimator).consumes("fit", ["sample_weight"]):
            return "sample_weight"
    elif isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        if has_fit_parameter(last, "sample_weight"):
            return f"{name}__sample_weight"
    must = "sample_weight needs an estimator whose fit takes it"
    todo = "In a pipeline under metadata routing, set the request of its last step."
    raise ParameterError(sentence(where, must, type(estimator).__name__, todo))


def routed_fit(owner: Any, fit_params: dict[str, Any]) -> Any:
    """Return who gets which further parameter of ``fit``, or None where there are none.

    Raises
    ------
    ParameterError
        For further parameters without metadata routing.
    """
    if not fit_params:
        return None
    if not get_config()["enable_metadata_routing"]:
        must = "fit takes further parameters only with metadata routing"
        todo = "Call sklearn.set_config(enable_metadata_routing=True) and set the requests."
        raise ParameterError(sentence(type(owner).__name__, must, ", ".join(fit_params), todo))
    return process_routing(owner, "fit", **fit_params)
