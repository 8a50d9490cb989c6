"""What a recipe may say: its sections, their keys, their defaults and their bounds."""

from __future__ import annotations

from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from augsynth.impute.amputation import MECHANISMS
from augsynth.recipe.clips import holds_clips
from augsynth.recipe.images import DIGITS, holds_images
from augsynth.recipe.policies import MODALITIES
from augsynth.recipe.tables import BUNDLED, FORMATS, SKLEARN
from augsynth.recipe.wording import meant

__all__ = ["ESTIMATORS", "TASKS", "CompareSection", "Component", "DataSection", "HolesSection"]
__all__ += ["ImputeData", "ImputeRecipe", "OutputSection", "Recipe", "ReportedOutput"]

TASKS = ("augment", "impute")

ESTIMATORS = ("auto", "gradient_boosting", "logistic_regression", "random_forest", "svc")
OF_TABLES = (
    "groups",
    "bands",
    "drop",
    "split",
    "missing",
    "separator",
    "dates",
    "holes",
)  # keys that folders lack
_FOLDERS = {"images": "images", "audio": "clips"}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class HolesSection(_Section):
    """Cells to take out on purpose, so that there is something to fill and the truth is known."""

    share: float = Field(default=0.2, gt=0, lt=1, description="of the cells")
    mechanism: str = Field(default="MAR", description=" or ".join(MECHANISMS))

    @field_validator("mechanism")
    @classmethod
    def _known_mechanism(cls, value: str) -> str:
        if value not in MECHANISMS:
            raise ValueError(f"must be {' or '.join(MECHANISMS)}; given {value!r}{meant(value, MECHANISMS)}")
        return value


class DataSection(_Section):
    """Which table, which of its columns are what, and how the test part is set aside."""

    path: str = Field(
        description="a CSV, TSV or Parquet file; a folder of class folders of images or of wav files, or an "
        ".npz with images and labels; or sklearn:breast_cancer|digits|iris|wine"
    )
    text: str | None = Field(default=None, min_length=1, description="the column of the texts, for texts")
    modality: str = Field(
        default="",
        validate_default=True,
        description="table, images, audio or text; told by the path and data.text, but for sklearn:digits, "
        "which are a table and images",
    )
    target: str = Field(default="", validate_default=True, description="the column of the labels")
    groups: list[str] = Field(default=[], description="sensitive columns; they stay in the table")
    dates: list[str] = Field(default=[], description="columns of a text table that hold dates or times")
    bands: dict[str, list[float]] = Field(default={}, description="numeric group column: where to cut it")
    drop: list[str] = Field(default=[], description="columns to leave out, such as an id")
    split: str | None = Field(default=None, description="a column that says train or test for each row")
    test_size: float = Field(default=0.25, gt=0, lt=1, description="share of rows to hold out")
    thin: dict[str | int | float | bool, int] = Field(default={}, description="label: training rows to keep")
    holes: HolesSection | None = Field(default=None, description="cells to take out on purpose")
    missing: list[str] | None = Field(default=None, description="texts that stand for a missing value")
    separator: str | None = Field(
        default=None, min_length=1, max_length=1, description="separator of a CSV file"
    )

    @field_validator("path")
    @classmethod
    def _known_set(cls, value: str) -> str:
        if value.startswith(SKLEARN) and value.removeprefix(SKLEARN) not in BUNDLED:
            near = meant(value.removeprefix(SKLEARN), BUNDLED)
            raise ValueError(
                f"must name a set of scikit-learn's, {' or '.join(BUNDLED)}; given {value!r}{near}"
            )
        return value

    @field_validator("modality")
    @classmethod
    def _known_modality(cls, value: str, info: Any) -> str:
        path = str(info.data.get("path", ""))
        texts = info.data.get("text") is not None
        told = "text" if texts else "table"
        if holds_images(path):
            told = "audio" if value == "audio" or (not value and holds_clips(path)) else "images"
        if value not in ("", *MODALITIES):
            raise ValueError(f"must be {' or '.join(MODALITIES)}; given {value!r}{meant(value, MODALITIES)}")
        if texts and (told != "text" or value not in ("", "text")):
            raise ValueError("must be text where data.text names a column, and the path a table")
        if value == "text" and not texts:
            raise ValueError("text needs the column of the texts; name it in data.text")
        if value == "audio" and (told != "audio" or path.endswith(".npz")):
            raise ValueError(f"audio comes from a folder of class folders of wav files; given {path!r}")
        if value == "images" and told != "images" and path and path != DIGITS:
            raise ValueError(f"images come from a folder, an .npz file or {DIGITS}; given {path!r}")
        if value == "table" and told == "images":
            raise ValueError(f"a table is a file; given {path!r}, which holds images")
        return value or told

    @field_validator("target")
    @classmethod
    def _has_target(cls, value: str, info: Any) -> str:
        if value or "path" not in info.data:  # a bad path has been told already
            return value
        if info.data.get("modality") in _FOLDERS and not str(info.data["path"]).startswith(SKLEARN):
            return "label"
        if str(info.data.get("path", "")).startswith(SKLEARN):
            return "target"
        raise ValueError("must name the column of the labels (only scikit-learn's sets have one by default)")

    @field_validator(*OF_TABLES)
    @classmethod
    def _of_tables_only(cls, value: Any, info: Any) -> Any:
        modality = info.data.get("modality")
        if value and modality in _FOLDERS:
            raise ValueError(f"is for tables; {_FOLDERS[modality]} have none. Leave it out")
        if value and modality == "text" and info.field_name in ("dates", "holes"):
            raise ValueError("is for tables; texts have none. Leave it out")
        return value

    @field_validator("bands")
    @classmethod
    def _bands_of_groups(cls, value: dict[str, list[float]], info: Any) -> dict[str, list[float]]:
        for name, edges in value.items():
            if name not in info.data.get("groups", value):
                raise ValueError(f"must cut columns that data.groups names; given {name!r}")
            if not edges or any(low >= high for low, high in zip(edges, edges[1:], strict=False)):
                raise ValueError(f"the cuts of {name!r} must be numbers in rising order; given {edges}")
        return value

    @field_validator("thin")
    @classmethod
    def _thin_counts(cls, value: dict[Any, int]) -> dict[Any, int]:
        low = {label: rows for label, rows in value.items() if rows < 2}
        if low:
            raise ValueError(f"a class must keep at least 2 training rows; given {low}")
        return value


class ImputeData(DataSection):
    """The table of a recipe that fills holes; it may have labels, and these may be missing too."""

    target: str = Field(
        default="", validate_default=True, description="labels, if there are any; never filled"
    )

    @field_validator("target")
    @classmethod
    def _has_target(cls, value: str, info: Any) -> str:
        return value or ("target" if str(info.data.get("path", "")).startswith(SKLEARN) else "")

    @field_validator("modality")
    @classmethod
    def _tables_only(cls, value: str) -> str:
        if value != "table":
            raise ValueError(f"only tables have cells to fill; given {value}")
        return value

    @field_validator("thin")
    @classmethod
    def _not_thinned(cls, value: dict[Any, int]) -> dict[Any, int]:
        if value:
            raise ValueError("is for recipes that make rows (task: augment). Leave it out")
        return value


class Component(_Section):
    """A component by its kind; every other key is one of its parameters."""

    model_config = ConfigDict(extra="allow")
    kind: str

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that the recipe states."""
        return dict(self.model_extra or {})


class CompareSection(_Section):
    """How it is judged whether the new rows helped: by cross-validation inside the training part."""

    estimator: str = Field(default="auto", description=" or ".join(ESTIMATORS))
    scoring: str = Field(default="balanced_accuracy", description="the name of a scikit-learn scorer")
    folds: int = Field(default=5, ge=2)
    repeats: int = Field(default=3, ge=1)
    rows: int | None = Field(default=4000, ge=50, description="training rows used at most; null for all")

    @field_validator("estimator")
    @classmethod
    def _known_estimator(cls, value: str) -> str:
        if value not in ESTIMATORS:
            raise ValueError(f"must be {' or '.join(ESTIMATORS)}; given {value!r}{meant(value, ESTIMATORS)}")
        return value

    @field_validator("scoring")
    @classmethod
    def _known_scoring(cls, value: str) -> str:
        from sklearn.metrics import get_scorer_names

        if value not in get_scorer_names():
            near = meant(value, get_scorer_names())
            raise ValueError(f"must be the name of a scikit-learn scorer; given {value!r}{near}")
        return value


class OutputSection(_Section):
    """Where the results go."""

    dir: str = Field(default="augsynth_output", min_length=1)
    format: str = Field(default="csv", description=" or ".join(FORMATS))

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in FORMATS:
            raise ValueError(f"must be one of {', '.join(FORMATS)}; given {value!r}{meant(value, FORMATS)}")
        return value


class ReportedOutput(OutputSection):
    """Where the results go, and whether the new rows are checked."""

    report: bool = Field(default=True, description="whether the new rows are checked, for report.html")


class _AnyRecipe(_Section):
    name: str = Field(min_length=1)
    description: str = ""
    seed: int = Field(default=0, ge=0, lt=2**63)
    _notes: list[str] = PrivateAttr(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What the overrides changed beyond their own key, one sentence each."""
        return self._notes

    def to_yaml(self) -> str:
        """Write the recipe out in full, defaults included: the same text gives the same run."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)


class Recipe(_AnyRecipe):
    """A whole recipe that makes rows; get one with `load` or `parse`."""

    task: Literal["augment"] = "augment"
    budget: float = Field(default=300.0, gt=0, description="seconds that the comparison may take, about")
    data: DataSection
    imputer: Component | None = Field(default=None, description="fills the holes before anything else")
    generator: Component | None = None
    resampler: Component = Component(kind="over")
    compare: CompareSection | None = CompareSection()
    output: ReportedOutput = ReportedOutput()


class ImputeRecipe(_AnyRecipe):
    """A whole recipe that fills the holes of a table (``task: impute``)."""

    task: Literal["impute"]
    data: ImputeData
    imputer: Component
    draws: int = Field(default=5, ge=0, le=1000, description="random completions beside that for prediction")
    output: OutputSection = OutputSection()
