"""The site of the docs is built without a warning, and works from a disk without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from browser import PROGRAM, chromium
from conftest import ROOT

pytest.importorskip("material", reason="the extra `docs` is not installed")


def built(folder: Path) -> Path:
    """Build the site in a folder, and return its first page."""
    site = folder / "site"
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return site / "index.html"


def test_every_page_works_from_a_disk_in_the_light_and_the_dark_and_on_a_phone(
    tmp_path: Path,
) -> None:
    index = built(tmp_path)
    if PROGRAM is None:
        pytest.skip("the site is whole, but there is no Chromium to look at it in")
    with chromium(tmp_path / "browser") as browser:
        browser.prefer("light")
        browser.size(390, 800, phone=True)
        for page in sorted(index.parent.rglob("*.html")):
            if page.name == "404.html":  # only a server shows it, from the site's root
                continue
            browser.open(page)
            browser.until("[...document.images].every(each => each.complete && each.naturalWidth)")
            assert browser.value("document.documentElement.scrollWidth") == 390, page
        browser.size(1200, 900)
        browser.open(index)
        for page in sorted((index.parent / "commands").glob("*.html")):
            browser.open(page)
            lines = "[...document.querySelectorAll('pre code')]"
            assert browser.value(f"{lines}.every(e => e.scrollWidth <= e.clientWidth + 1)"), page
        browser.open(index)
        toggle = "[data-md-component=palette] label:not([hidden])"
        for scheme in ("slate", "default"):
            browser.until(f"document.querySelector('{toggle}') !== null")
            browser.click(toggle)
            browser.until(f"document.body.dataset.mdColorScheme === '{scheme}'")
        browser.value("document.querySelector('input[name=query]').focus()")
        browser.until("document.querySelector('.md-search-result__meta').innerText[0] === 'T'")
        browser.send("Input.insertText", text="halving")
        browser.send("Input.dispatchKeyEvent", type="keyUp", key="g")
        browser.until("document.querySelector('.md-search-result a[href*=strategies]') !== null")
        assert browser.complaints == []
    shutil.rmtree(index.parent)
