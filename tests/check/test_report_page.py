"""The page: nothing runs, nothing is fetched, everything has a name; readable in both lights."""

import base64
import hashlib
import io
import re
import sys
from functools import partial
from html.parser import HTMLParser
from importlib import resources
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from augsynth.check.downstream import hold_out_trial
from augsynth.check.fidelity import CHECKS as FIDELITY
from augsynth.check.finding import CONTROLS, Finding
from augsynth.check.privacy import CHECKS as PRIVACY
from augsynth.check.report import report
from augsynth.check.report.columns import marginals
from augsynth.check.report.markup import Axis, clean, figure, tag
from augsynth.check.report.strip import strip

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Every element with its attributes and the text inside; fails on tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, name):
        assert self.elements[self.open.pop()][0] == name

    def handle_data(self, data):
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data

    def all(self, name):
        return [attributes for each, attributes in self.elements if each == name]


@pytest.fixture(scope="module")
def hostile():
    """A report on rows whose every name is code, with a generator that was trained."""
    rng = np.random.default_rng(0)

    def rows(n):
        X = pd.DataFrame({EVIL: rng.normal(size=n), "\u202ejob\x00": rng.choice(["<b>&", '"c"'], n)})
        X["'group'"] = rng.choice([EVIL, "</style>"], n)
        return X, np.where(rng.random(n) < 0.4, "<img src=x onerror=alert(1)>", "]]>")

    (X, y), (X_new, y_new), held = rows(120), rows(60), rows(90)
    X_new.iloc[:6] = X.iloc[:6]
    history = SimpleNamespace(
        losses={EVIL: [(1, 2.0), (5, 1.0), (9, float("nan"))]}, holdout=[], alarms=[(3, EVIL)], steps=9,
        device="cpu", seconds=1.0,
    )  # fmt: skip
    chosen = [
        kind
        for kind in (*FIDELITY, *PRIVACY)
        if kind.name in ("marginals", "pairs", "copies", "closer_share")
    ]
    with pytest.MonkeyPatch.context() as patch:
        module = sys.modules["augsynth.check.report.report"]
        patch.setattr(module, "default_checks", lambda: [kind() for kind in chosen])
        patch.setattr(module, "hold_out_trial", partial(hold_out_trial, n_halves=2, n_bootstrap=20))
        found = report(
            X, y, X_new, y_new, holdout=held, group_columns=["'group'"], random_state=0,
            generator=SimpleNamespace(history_=history, sample=None), datasheet={"owner": EVIL},
        )  # fmt: skip
    return found, found.html()


def test_nothing_runs_and_nothing_is_fetched(hostile):
    page = Page(hostile[1])
    assert EVIL not in hostile[1] and "<img src=x" not in hostile[1] and "\x00" not in hostile[1]
    scripts = [k for k, (name, _) in enumerate(page.elements) if name == "script"]
    assert len(scripts) == 1 and page.elements[scripts[0]][1] == {}
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.text[scripts[0]].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    for name, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on")], name
        assert name not in ("link", "iframe", "object", "embed", "form", "base", "video", "audio")
        assert attributes.get("src", "data:").startswith("data:") and attributes.get("href", "#").startswith(
            "#"
        )
    assert "stands beside controls" in hostile[1]
    assert "url(" not in hostile[1] and "@import" not in hostile[1] and len(hostile[1]) < 3e6


def test_everything_has_a_name_and_a_place(hostile):
    page = Page(hostile[1])
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    pictures = [each for each in page.all("svg") if not each.get("aria-hidden") and "x" not in each]
    assert len(pictures) > 20 and all(each["role"] == "img" and each["aria-label"] for each in pictures)
    assert all(each.get("alt") for each in page.all("img")) and page.all("html")[0]["lang"] == "en"
    assert hostile[1].count("<caption>") == len(page.all("table")) and all(
        "scope" in th for th in page.all("th")
    )
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page.all("a")} <= set(ids)
    for name in ("main", "header", "nav", "footer"):
        assert len(page.all(name)) == 1
    assert {"verdict", "gains", "counts", "groups", "fidelity", "memorisation", "training", "details"} <= set(
        ids
    )


def contrast(first, second):
    def light(colour):
        colour = "".join(2 * c for c in colour) if len(colour) == 3 else colour
        parts = [int(colour[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((light(first), light(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_in_both_lights(theme):
    css = resources.files("augsynth.check.report").joinpath("page.css").read_text(encoding="utf-8")
    block = css.split("prefers-color-scheme:dark")[theme == "dark"].split("}")[0]
    colours = dict(re.findall(r"--([\w]+):#([0-9a-f]{3,6})", block))
    pairs = [("ink", "paper"), ("ink", "card"), ("soft", "paper"), ("soft", "card"), ("accent", "card")]
    pairs += [("accent", "paper"), ("good", "goodwash"), ("bad", "badwash"), ("plain", "plainwash")]
    pairs += [
        ("good", "card"),
        ("bad", "card"),
        ("ink", "goodwash"),
        ("ink", "badwash"),
        ("soft", "goodwash"),
    ]
    pairs += [("soft", "badwash"), ("soft", "plainwash"), ("ink", "plainwash")]
    for text, ground in pairs:
        assert contrast(colours[text], colours[ground]) >= 4.5, (theme, text, ground)


def test_a_strip_puts_figures_where_they_belong():
    controls = dict(zip(CONTROLS, (0.5, 0.4, 0.9, float("nan")), strict=True))
    found = Finding(
        "fidelity", "c2st", "Told apart", 0.7, "AUC", 0.6, 0.8, 0.5, 0.01, controls=controls, status="failed"
    )
    drawn = str(strip(found))
    axis = Axis([0.4, 0.9])
    assert (
        f'cx="{axis.at(0.7)}"' in drawn and f'x1="{axis.at(0.6)}"' in drawn and f'x="{axis.at(0.9)}"' in drawn
    )
    assert "SMOTE" not in drawn  # it could not be made
    assert 'aria-label="Told apart: 0.700; 95 % interval 0.600 to 0.800; if nothing differed 0.500' in drawn
    assert str(strip(Finding("fidelity", "c2st", "", float("nan")))) == ""


def test_numbers_and_marks():
    assert [figure(value) for value in (0.0, 1.0, 0.05, 1234.5, -0.00012, None)] == [
        "0", "1", "0.0500", "1,234", "-0.00012", "–",
    ]  # fmt: skip
    assert figure(0.5, "share of rows") == "50.0 %" and figure(float("inf")) == "–"
    assert clean("a\ud800b\u202e") == "a\ufffdb\ufffd"
    assert str(tag("p", EVIL, title='"')) == '<p title="&#34;">&lt;script&gt;alert(1)&lt;/script&gt;</p>'
    for low, high in ((0.0, 1.0), (-3.2, 17.0), (1e-9, 2e-9), (5.0, 5.0), (0.0, 0.0)):
        told = Axis([low, high]).told()
        assert 1 <= len(told) <= 6 and len({text for _, text in told}) == len(told)
        assert all(
            abs(float(text.replace(",", "")) - value) < 1e-3 * max(1.0, abs(value)) for value, text in told
        )


def test_columns_that_differ_most_come_first_and_only_24_are_shown(hostile, monkeypatch):
    module = sys.modules["augsynth.check.report.report"]
    monkeypatch.setattr(module, "default_checks", list)
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 60)), columns=[f"column {k}" for k in range(60)])
    X["level"] = ["a"] * 100 + ["b"] * 100
    X_new = pd.DataFrame(rng.normal(size=(200, 60)), columns=X.columns[:60]).assign(level="a")
    X_new["column 7"] += 100
    found = report(X, None, X_new, None, controls=False, random_state=0)
    order = marginals(found.evidence)
    assert [each.name for each in order[:2]] == ["column 7", "level"]
    assert order[0].gap == 1.0 and order[1].gap == pytest.approx(0.5)
    text = found.html()
    assert "the 24 of 61 that differ most" in text and text.count("largest difference") == 24 * 2


def test_pictures_are_inside_and_to_the_pixel(monkeypatch):
    module = sys.modules["augsynth.check.report.report"]
    monkeypatch.setattr(module, "default_checks", list)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 6, 5), dtype=np.uint8)
    images[0], images[1] = 0, 255
    y = np.array([0, 1] * 20)
    text = report(images[:30], y[:30], images[30:], y[30:], controls=False, random_state=0).html()
    sources = [each["src"] for each in Page(text).all("img")]
    assert len(sources) == 4  # two classes, real and new
    first = Image.open(io.BytesIO(base64.b64decode(sources[0].split(",")[1])))
    pixels = np.asarray(first)[..., 0]
    np.testing.assert_array_equal(pixels[:6, :5], images[0])
    np.testing.assert_array_equal(pixels[:6, 6:11], images[2])
