"""The page of a run, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import PROGRAM, Browser, chromium
from hpsearch.derived import report_of
from hpsearch.lines import encode
from hpsearch.report.page import report_page
from hpsearch.report.picture import MOST_TRIALS
from hpsearch.report.pictures import BY_HAND, PICTURES
from hpsearch.store import RECORD, RunFolder
from test_page import HOSTILE, TEXT, by_hand, hostile, made, plain, result

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")

PHONE = (390, 800)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    scored = [plain(i, 0.01 * ((7 * i) % 30 + 1), curve=curve(i)) for i in range(30)]
    runs = {
        "plain": made(folder, [*scored, plain(30, None, message="no luck")], TEXT, "plain"),
        "hostile": hostile(folder),
        "by_hand": by_hand(folder),
        "failures": made(folder, [plain(i, None) for i in range(3)], TEXT, "failures"),
        "many": many(folder / "many"),
        "far": made(folder, [*scored, plain(30, 1e300), plain(31, -1e-300)], TEXT, "far"),
    }
    found = {}
    for name, run in runs.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(report_page(report_of(run)), encoding="utf-8")
    return found


MANY = 2000


def many(path: Path) -> RunFolder:
    """A run of many trials, each worse than the one before, and the first far better than all."""
    folder = made(path.parent, [], TEXT.replace("trials: 40", f"trials: {MANY}"), path.name)
    lines = (
        encode(
            result(
                i,
                0.1 + 0.0001 * i if i else 0.05,
                {"learning_rate": 0.0001 * 10 ** (4 * i / MANY), "optimizer": "adam"},
                started="",
            )
        )
        for i in range(MANY)
    )
    (folder.path / RECORD).write_bytes(b"".join(lines))
    return folder


def curve(number: int) -> dict[str, list[float | None]]:
    end = 0.01 * ((7 * number) % 30 + 1)
    return {"dev_error": [end + 0.2, end + 0.1, end], "train_error": [0.3, 0.2, 0.1]}


@pytest.fixture
def opened(browser: Browser, pages: dict[str, Path]) -> Browser:
    browser.complaints.clear()
    browser.size(1200, 900)
    browser.prefer("light")
    browser.open(pages["plain"])
    return browser


@pytest.mark.parametrize(("size", "scheme"), [((1200, 900), "light"), (PHONE, "dark")])
@pytest.mark.parametrize("name", ["plain", "hostile", "failures", "by_hand"])
def test_a_page_is_drawn_without_a_complaint_and_fits(
    name: str, size: tuple[int, int], scheme: str, browser: Browser, pages: dict[str, Path]
) -> None:
    browser.complaints.clear()
    browser.size(*size, phone=size == PHONE)
    browser.prefer(scheme)
    browser.open(pages[name])
    browser.everything_drawn()
    assert browser.complaints == []
    assert browser.value("document.documentElement.scrollWidth") <= size[0]
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    drawn = browser.value("[...document.querySelectorAll('.picture')].map(p => p.dataset.picture)")
    assert set(drawn) <= (BY_HAND if name == "by_hand" else PICTURES).keys()
    assert len(drawn) == {"failures": 2, "by_hand": 1}.get(name, 7)


def test_what_is_hostile_is_shown_and_not_run(browser: Browser, pages: dict[str, Path]) -> None:
    browser.complaints.clear()
    browser.size(1200, 900)
    browser.open(pages["hostile"])
    browser.everything_drawn()
    assert browser.complaints == []  # a dialog of alert would also have stopped all of this
    assert browser.value("document.querySelectorAll('script').length") == 3
    assert browser.value("document.querySelectorAll('img, b > script').length") == 0
    texts = browser.value("[...document.querySelectorAll('#board td')].map(c => c.textContent)")
    assert HOSTILE[0] in texts
    ticks = browser.value(
        "[...document.querySelectorAll('.xtick text, .ytick text')].map(t => t.textContent)"
    )
    assert "<script>alert…" in ticks
    assert "$x^2$ ${alert…" in ticks


def column(browser: Browser, number: int) -> list[str]:
    """The texts of a column of the leaderboard, counted from 1."""
    cells = f"document.querySelectorAll('#board tbody td:nth-child({number})')"
    return list(browser.value(f"[...{cells}].map(c => c.textContent)"))


def test_the_leaderboard_sorts_and_what_has_no_value_stays_last(opened: Browser) -> None:
    heads = opened.value("[...document.querySelectorAll('#board th')].map(h => h.textContent)")
    assert heads[:3] == ["rank", "trial", "score"]
    assert [float(each) for each in column(opened, 3)] == sorted(map(float, column(opened, 3)))
    opened.click("#more")
    assert len(column(opened, 1)) == 31
    opened.click("#board th:nth-child(3) button")
    upward = column(opened, 3)
    opened.click("#board th:nth-child(3) button")
    downward = column(opened, 3)
    assert upward[-1] == downward[-1] == "-"
    assert [float(each) for each in upward[:-1]] == sorted(map(float, upward[:-1]))
    assert [float(each) for each in downward[:-1]] == sorted(
        map(float, downward[:-1]), reverse=True
    )
    assert opened.value("document.querySelector('#board th:nth-child(3)').ariaSort") == "descending"


def test_rows_can_be_found(opened: Browser) -> None:
    opened.value(
        "document.querySelector('#filter').value = 'failed';"
        "document.querySelector('#filter').dispatchEvent(new Event('input'))"
    )
    assert column(opened, 2) == ["30"]
    assert opened.value("document.querySelector('#count').textContent") == "1 of 31 trials"


def point_of(browser: Browser, picture: str, trial: int) -> tuple[float, float]:
    """Where the last point of a trial stands in the window."""
    at: list[float] = browser.until(
        f"""(() => {{
            const plot = document.querySelector('[data-picture={picture}] .plot');
            for (const trace of plot?._fullData || []) {{
                const i = (trace.customdata || []).lastIndexOf({trial});
                if (i < 0) continue;
                const box = plot.querySelector('.nsewdrag').getBoundingClientRect();
                const {{ xaxis, yaxis }} = plot._fullLayout;
                return [box.left + xaxis.c2p(trace.x[i]), box.top + yaxis.c2p(trace.y[i])];
            }}
            return null;
        }})()"""
    )
    return at[0], at[1]


HOVER = "[...document.querySelectorAll('.hoverlayer .hovertext')].map(t => t.textContent).join()"


@pytest.mark.parametrize("picture", ["curves", "scatter", "parallel"])
def test_hovering_tells_the_setting_of_a_trial(picture: str, opened: Browser) -> None:
    opened.everything_drawn()
    opened.value(f"document.querySelector('[data-picture={picture}]').scrollIntoView()")
    x, y = point_of(opened, picture, 13)  # 7 * 13 % 30 is 1: among the best, so not covered
    opened.mouse(x - 30, y - 30)
    opened.mouse(x, y)
    opened.until(f"{HOVER}.includes('trial 13')")
    told = opened.value(HOVER)
    assert "0.0200" in told
    assert "learning_rate 0.014" in told
    assert "optimizer adam" in told
    assert opened.complaints == []


def test_a_click_on_a_row_shows_its_trial_in_the_pictures(opened: Browser) -> None:
    opened.everything_drawn()
    opened.click("#board tbody tr:nth-child(3)")
    trial = int(column(opened, 2)[2])
    card = opened.value("document.querySelector('#chosen').textContent")
    assert card.startswith(f"Trial {trial}: 0.0300. learning_rate")
    shown = opened.value("[...document.querySelector('[data-picture=curves] .plot').data.at(-1).y]")
    assert shown[:3] == pytest.approx([0.23, 0.13, 0.03])
    opened.click("#chosen button")
    assert not opened.value("document.querySelector('#chosen').classList.contains('shown')")
    assert opened.complaints == []


def test_many_trials_are_sorted_found_and_hovered_like_few(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.complaints.clear()
    browser.size(1200, 900)
    browser.open(pages["many"])
    browser.everything_drawn()
    count = "document.querySelector('#count').textContent"
    assert browser.value(count) == "25 of 2,000 trials"
    for _ in range(2):
        browser.click("#board th:nth-child(3) button")
    assert column(browser, 2) == [str(MANY - 1 - i) for i in range(25)]
    browser.value("document.querySelector('[data-picture=scatter]').scrollIntoView()")
    x, y = point_of(browser, "scatter", 0)
    browser.mouse(x - 30, y - 30)
    browser.mouse(x, y)
    browser.until(f"{HOVER}.includes('trial 0')")
    drawn = browser.value(
        "document.querySelector('[data-picture=scatter] .plot').data"
        ".flatMap((trace) => trace.customdata || []).length"
    )
    assert drawn == MOST_TRIALS
    assert browser.complaints == []


def test_a_value_beyond_what_a_browser_can_place_is_no_complaint(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.complaints.clear()
    browser.open(pages["far"])
    browser.everything_drawn()
    assert browser.complaints == []


def test_a_phone_is_told_that_the_table_goes_on_to_the_right(
    browser: Browser, pages: dict[str, Path]
) -> None:
    hidden = "document.querySelector('#sideways').hidden"
    for size, phone in (((1200, 900), False), (PHONE, True)):
        browser.size(*size, phone=phone)
        browser.open(pages["plain"])
        assert browser.value(hidden) is not phone


def test_the_theme_can_be_changed_and_pictures_follow(opened: Browser) -> None:
    opened.everything_drawn()
    colour = "document.querySelector('[data-picture=curves] .plot').layout.font.color"
    before = opened.value(colour)
    assert opened.value("document.querySelector('#theme').textContent") == "Dark"
    opened.click("#theme")
    assert opened.value("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 31)"
    assert opened.value(colour) != before
    opened.click("#theme")
    assert opened.value(colour) == before
    assert opened.complaints == []


def test_another_metric_another_pair_and_a_log_scale_can_be_chosen(opened: Browser) -> None:
    opened.everything_drawn()
    title = "document.querySelector('[data-picture={}] .plot').layout.{}.title.text"
    opened.value(
        "for (const name of ['curves', 'projection']) {"
        "  const select = document.querySelector(`[data-picture=${name}] select`);"
        "  if (select) { select.selectedIndex = 1; select.dispatchEvent(new Event('change')); }"
        "}"
    )
    assert opened.value(title.format("curves", "yaxis")) == "train_error"
    opened.click("[data-picture=curves] input[type=checkbox]")
    assert (
        opened.value("document.querySelector('[data-picture=curves] .plot').layout.yaxis.type")
        == "log"
    )
    opened.click("[data-picture=curves] .legend button")
    assert opened.complaints == []
