"""The README's code runs, in order, as one program."""

import re
import warnings
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def test_every_python_block_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # they write files
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    names = {"__name__": "readme"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's advice on the examples' small fits
        for block in blocks:
            exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "against nothing" in printed or "nothing" in printed
    assert len(names["new"]) == 100 and names["new"].dtypes.equals(names["X"].dtypes)


def test_links_point_to_files_that_exist():
    text = README.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    missing = [link for link in links if not (README.parent / link.split("#")[0]).exists()]
    assert not missing
