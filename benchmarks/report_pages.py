"""Pages of the report in a headless Chromium: nothing is fetched, nothing runs, nothing scrolls sideways.

    python benchmarks/report_pages.py                     # about five minutes
    python benchmarks/report_pages.py --quick             # one page
    python benchmarks/report_pages.py --pictures FOLDER   # screenshots as well

Each page is opened at 1280 x 900 and 390 x 844 (a phone), in light and in dark, with every
detail unfolded. Recorded: bytes, requests other than for the file itself, complaints of the browser
(script errors, dialogs), and by how many pixels the page is wider than the screen.

hostile   columns, classes and groups that are named like code
wide      300 columns
levels    a column of some thousand categories
pictures  8 x 8 digits, with new ones that are blurred
bare      neither labels nor held-out rows
two       two rows

Without Chromium the script says so and writes nothing.
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from browser import browser, found
from harness import Results, measured, say, table

from augsynth.check.report import report

PROTOCOL = {
    "screens": "1280 x 900 and 390 x 844, light and dark, every detail unfolded",
    "wider": "pixels by which the page is wider than its screen; tables scroll within themselves",
    "requests": "whatever is asked for but the file itself and data inside it",
}
SCREENS = {"desktop": (1280, 900), "phone": (390, 844)}
EVIL = "<script>alert(1)</script>"
MOST_BYTES = 3_000_000


def _rows(rng: np.random.Generator, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    X = pd.DataFrame({EVIL: rng.normal(size=n), "\u202ejob": rng.choice(["<b>&", '"c"'], n)})
    X["'group'"] = rng.choice([EVIL, "</style>", "a group whose name is very long indeed " * 3], n)
    return X, np.where(rng.random(n) < 0.4, "<img src=x onerror=alert(1)>", "]]>")


def _hostile(rng: np.random.Generator) -> dict[str, Any]:
    (X, y), (X_new, y_new), held = (_rows(rng, n) for n in (400, 200, 300))
    return {"X": X, "y": y, "X_new": X_new, "y_new": y_new, "holdout": held, "group_columns": ["'group'"]}


def _wide(rng: np.random.Generator) -> dict[str, Any]:
    names = [f"column {k}" for k in range(300)]
    X, X_new, held = (pd.DataFrame(rng.normal(size=(n, 300)), columns=names) for n in (200, 100, 100))
    y, y_new, y_held = (rng.choice(["a", "b"], n) for n in (200, 100, 100))
    return {"X": X, "y": y, "X_new": X_new, "y_new": y_new, "holdout": (held, y_held)}


def _levels(rng: np.random.Generator) -> dict[str, Any]:
    def part(n: int) -> tuple[pd.DataFrame, np.ndarray]:
        X = pd.DataFrame({"place": rng.integers(0, 900, n).astype(str), "x": rng.normal(size=n)})
        return X, rng.choice(["a", "b"], n)

    (X, y), (X_new, y_new), held = (part(n) for n in (1500, 500, 500))
    return {"X": X, "y": y, "X_new": X_new, "y_new": y_new, "holdout": held}


def _pictures(rng: np.random.Generator) -> dict[str, Any]:
    from scipy.ndimage import gaussian_filter
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = rng.permutation(len(digits.target))
    a, b, c = order[:400], order[400:600], order[600:900]
    X, y = digits.images, digits.target
    blurred = gaussian_filter(X[b], (0, 0.6, 0.6))
    return {"X": X[a], "y": y[a], "X_new": blurred, "y_new": y[b], "holdout": (X[c], y[c])}


def _bare(rng: np.random.Generator) -> dict[str, Any]:
    (X, _), (X_new, _) = _rows(rng, 200), _rows(rng, 100)
    return {"X": X, "y": None, "X_new": X_new, "y_new": None}


def _two(rng: np.random.Generator) -> dict[str, Any]:
    X = pd.DataFrame({"a": [1.0, 2.0]})
    return {"X": X, "y": ["u", "v"], "X_new": X + 0.5, "y_new": ["u", "v"], "holdout": (X + 0.2, ["u", "v"])}


PAGES = {
    "hostile": _hostile, "wide": _wide, "levels": _levels, "pictures": _pictures, "bare": _bare, "two": _two,
}  # fmt: skip


def look(name: str, seed: int, folder: Path, pictures: Path | None) -> list[dict[str, Any]]:
    """Make a page and open it on every screen; return a row a screen and light."""
    found_, cost = measured(report, **PAGES[name](np.random.default_rng(seed)), random_state=seed)
    path = folder / f"{name}.html"
    _, written = measured(found_.to_html, path)
    rows = []
    with browser() as page:
        for screen, (width, height) in SCREENS.items():
            for light in ("light", "dark"):
                page.open(path, width, height, dark=light == "dark")
                wider = int(page.ask("document.documentElement.scrollWidth - innerWidth"))
                row = {"page": name, "screen": screen, "light": light, "seed": seed, "wider": max(wider, 0)}
                row |= {"bytes": path.stat().st_size, "requests": page.asked_for()}
                row |= {
                    "complaints": page.complaints(),
                    "report_cpu_s": cost.cpu_s,
                    "html_cpu_s": written.cpu_s,
                }
                row["ground"] = page.ask("getComputedStyle(document.body).backgroundColor")
                rows.append(row)
                if pictures is not None:
                    page.picture(pictures / f"{name}-{screen}-{light}.png")
    return rows


def passes(row: dict[str, Any]) -> bool:
    """Whether a page keeps within itself."""
    return not (row["wider"] or row["requests"] or row["complaints"] or row["bytes"] > MOST_BYTES)


def main() -> None:
    """Run."""
    p = harness.parser(__doc__ or "", seeds=1, methods=tuple(PAGES))
    p.add_argument("--pictures", type=Path, default=None, help="folder for screenshots")
    arguments = p.parse_args()
    if found() is None:
        say("There is no Chromium here: no page was looked at.")
        return
    if arguments.pictures is not None:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    results = Results(
        arguments.out / "report_pages.json", key=("page", "screen", "light", "seed"), protocol=PROTOCOL
    )
    names = arguments.only or (["hostile"] if arguments.quick else list(PAGES))
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in harness.seeds_of(arguments):
            for name in names:
                for row in look(name, seed, Path(folder), arguments.pictures):
                    results.add(row)
                    made.append(row)
                    say(f"{name} {row['screen']} {row['light']}: {'fine' if passes(row) else row}")
    shown = [
        [r["page"], r["screen"], r["light"], f"{r['bytes'] / 1000:,.0f}", r["wider"], len(r["requests"]),
         len(r["complaints"]), f"{r['report_cpu_s']:.1f}", f"{r['html_cpu_s']:.2f}"]
        for r in results.rows()
    ]  # fmt: skip
    heads = [
        "page",
        "screen",
        "light",
        "kB",
        "px too wide",
        "requests",
        "complaints",
        "report, CPU-s",
        "page, CPU-s",
    ]
    text = "# Pages of the report in a headless Chromium\n\nEvery detail unfolded.\n\n" + table(
        heads, shown, markdown=True
    )
    (arguments.out / "report_pages.md").write_text(text + "\n", encoding="utf-8")
    if not all(map(passes, made)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
