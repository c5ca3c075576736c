"""The best settings of a run tried again: how much of a score was luck, and which is best now."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpsearch.config import Config, build_config, retest_yaml
from hpsearch.errors import UserError
from hpsearch.intervals import LEVEL, Interval, of_mean
from hpsearch.repeats import deviation, mean
from hpsearch.report.table import Column, Table, is_share, measure_text
from hpsearch.runs import load_run
from hpsearch.seeds import sequence
from hpsearch.standings import best_of
from hpsearch.store import CONFIG, RunFolder
from hpsearch.strategies import Listed
from hpsearch.trial import Result, ranked, standing
from hpsearch.yamlfile import parse_yaml

FEWEST_SEEDS = 3
"""A verdict from fewer is weak: two seeds may agree by chance."""
ROUNDING = 1e-12
"""A difference that is smaller, relative to the scores, is one of rounding."""


def name_of(run: str, number: int) -> str:
    """Return the name of retest `number`, from 1, of a run."""
    stem = f"{run[:88]}-retest"
    return stem if number == 1 else f"{stem}-{number}"


def last_number(folder: RunFolder) -> int:
    """Return the number of the newest retest of a run; 0 where there is none."""
    number = 0
    while (folder.path.parent / name_of(folder.name, number + 1)).exists():
        number += 1
    return number


def chosen_of(config: Config, folder: RunFolder, top: int) -> list[Result]:
    """Return the best settings of a run, the best first, that can be compared with it.

    Those that halving did not train as far as the best one cannot; neither is a setting twice.

    Raises:
        UserError: as `runs.best_of`.
    """
    best, results = best_of(config, folder)
    level = standing(best, config.goal)[0]
    found: dict[str, Result] = {}
    for result in ranked(results, config.goal):
        if result.score is not None and standing(result, config.goal)[0] == level:
            found.setdefault(repr(result.params), result)
    return list(found.values())[:top]


def retest_config(
    folder: RunFolder, runs: Path, *, number: int, top: int, repeats: int, data: Path | None
) -> tuple[Config, list[Result]]:
    """Return the config of a retest, and the trials that it tries again, the best first.

    Args:
        folder: The run.
        runs: Where the retest's folder will be.
        number: Which retest of the run this is, from 1: each has seeds of its own.
        top: How many settings.
        repeats: Training seeds for each setting, the same for all of them.
        data: A file to take instead of the run's data, as the user named it.
    Raises:
        UserError: the run has no complete trial or is being written, or the data or the code
            cannot be used any more, or the file cannot be read as the run's data are.
    """
    if folder.is_being_written():
        raise UserError(
            f"the run {folder.name} goes on in another process; retest it when it has ended"
        )
    config = load_run(folder, with_data=False)
    if isinstance(config.strategy, Listed):
        raise UserError(
            f"the run {folder.name} is a retest itself; retest the run it comes from: "
            f"hpsearch retest {config.parent} --again"
        )
    if data is not None and config.kind != "trainer":
        raise UserError(
            "--data is for the built-in trainer; your own code reads its own data: change what it "
            "reads, then retest"
        )
    if data is not None and not data.is_file():
        what = f"{data} is a folder" if data.is_dir() else f"there is no file {data}"
        raise UserError(f"--data: {what}; name a file that training can read")
    chosen = chosen_of(config, folder, top)
    name = name_of(folder.name, number)
    place = runs / name
    seed = int(sequence(config.seed, "retest", number).generate_state(1)[0])
    found = None if data is None else data.absolute()
    text = retest_yaml(config, chosen, place, name=name, repeats=repeats, seed=seed, data=found)
    document = parse_yaml(text.encode(), str(place / CONFIG))
    try:
        return build_config(document, name, name, place), chosen
    except UserError as error:
        if data is None:
            raise
        why = (error.bare or str(error)).replace(str(found), str(data))
        named = why if why.startswith(str(data)) else f"{data}: {why}"
        raise UserError(f"--data: {named}") from None


@dataclass(frozen=True)
class Again:
    """One setting, then and now."""

    trial: int
    """Its number in the run."""
    then: float
    """Its score in the run."""
    status: str
    now: float | None
    """The mean score on the fresh seeds; None unless complete."""
    scores: tuple[float, ...]
    """The score on each of them."""
    now_interval: Interval
    worse_by: float | None
    """How much higher its cost is than that of the run's best, paired by seed; None for itself."""
    interval: Interval
    """Of that, at a level that holds for all settings together."""
    rank: int | None
    """Its place among them now."""


@dataclass(frozen=True)
class Verdict:
    """What a retest comes to."""

    word: str
    """`still best`, `tied` or `stale`."""
    use: int | None
    """The trial to use; None where no setting can be trained any more."""
    text: str
    luck: float | None
    """How much better the best scored in the run than now, as a cost; None when it failed."""
    seeds: int = 0
    """From so many fresh seeds for each setting."""
    weak: bool = False
    """Whether those are too few to rely on."""


def compared(
    chosen: Sequence[Result], results: Sequence[Result], goal: str, metric: str = ""
) -> list[Again]:
    """Compare settings on fresh seeds with what they were, and with the run's best.

    All have the same seeds, so their costs are subtracted seed by seed: what the seeds have in
    common cancels. Few seeds may agree by chance, so each difference is taken to scatter by at
    least what all of them do together, and with k settings the interval of each has the level
    1 - 0.05 / (k - 1), so that all of them hold together with 95% (Bonferroni).

    Args:
        chosen: The trials of the run, its best first.
        results: Those of the retest, in the same order; some may be missing yet.
        goal: Which way a score is better.
        metric: Its name: the interval of a share of examples does not go beyond 0 and 1.
    """
    sign = 1 if goal == "minimize" else -1
    by_number = {result.trial: result for result in results}
    costs = {
        i: [sign * score for score in by_number[i].scores or [by_number[i].score or 0.0]]
        for i in range(len(chosen))
        if i in by_number and by_number[i].score is not None
    }
    best = costs.get(0)
    pairs = {
        i: [a - b for a, b in zip(each, best, strict=True)]
        for i, each in costs.items()
        if i and best is not None and len(each) == len(best)
    }
    pooled = _pooled(list(pairs.values()))
    pooled_scores = _pooled(list(costs.values()))
    level = 1 - (1 - LEVEL) / max(1, len(pairs))
    order = sorted(costs, key=lambda i: (mean(costs[i]), i))
    found = []
    for i, trial in enumerate(chosen):
        result = by_number.get(i)
        now, now_interval = None, Interval(-math.inf, math.inf)
        if i in costs:
            middle, ends = of_mean(costs[i], least_deviation=pooled_scores)
            now = sign * middle
            now_interval = Interval(*sorted((sign * ends.low, sign * ends.high)))
            if is_share(metric):
                now_interval = _within_shares(now_interval, [sign * each for each in costs[i]])
        worse, interval = None, Interval(-math.inf, math.inf)
        if i in pairs:
            worse, interval = of_mean(pairs[i], least_deviation=pooled, level=level)
            if abs(worse) < ROUNDING * max(map(abs, (*costs[i], *costs[0]))):
                worse = 0.0
        assert trial.score is not None
        found.append(
            Again(
                trial=trial.trial,
                then=trial.score,
                status="missing" if result is None else result.status,
                now=now,
                scores=tuple(sign * each for each in costs.get(i, ())),
                now_interval=now_interval,
                worse_by=worse,
                interval=interval,
                rank=order.index(i) + 1 if i in costs else None,
            )
        )
    return found


def _within_shares(interval: Interval, scores: Sequence[float]) -> Interval:
    """Cut the interval of a mean share at 0 and 1; a score beyond them says it is no share."""
    if not math.isfinite(interval.low) or not all(0 <= each <= 1 for each in scores):
        return interval
    return Interval(max(0.0, interval.low), min(1.0, interval.high))


def _pooled(samples: Sequence[Sequence[float]]) -> float:
    """Return the standard deviation that samples of one size have together."""
    squares = [deviation(each) ** 2 for each in samples if len(each) > 1]
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else 0.0


def verdict_of(found: Sequence[Again], config: Config) -> Verdict:
    """Say which setting to use now, and how much of the best one's score was luck."""
    sign = 1 if config.goal == "minimize" else -1
    best, others = found[0], found[1:]
    seeds = max(len(each.scores) for each in found)
    scored = sorted((each for each in found if each.now is not None), key=lambda a: a.rank or 0)
    if not scored:
        return Verdict("stale", None, "stale: none of the settings can be trained any more", None)
    if best.now is None:
        first = scored[0]
        return Verdict(
            "stale",
            first.trial,
            f"stale: trial {best.trial} {best.status}; use trial {first.trial} instead",
            None,
            seeds,
        )
    luck, weak = sign * (best.now - best.then), seeds < FEWEST_SEEDS
    better = [each for each in others if each.worse_by is not None and each.interval.high < 0]
    same = [each.trial for each in others if each.worse_by is not None and each.interval.low <= 0]
    if better:
        first = min(better, key=lambda each: each.rank or 0)
        word, use, text = "stale", first.trial, _stale_text(best, first, config)
    elif same:
        word, use, text = "tied", best.trial, _tied_text(best.trial, same, seeds)
    else:
        alone = "" if others else ", the only setting that was tried again"
        word, use, text = "still best", best.trial, f"still best: trial {best.trial}{alone}"
    if weak and seeds > 1 and others:
        text += f". That is weak evidence, from {seeds} seeds each"
    return Verdict(word, use, text, luck, seeds, weak)


def _stale_text(best: Again, first: Again, config: Config) -> str:
    assert first.worse_by is not None
    text = _signed_text(config)
    by, low, high = (
        text(-value) for value in (first.worse_by, first.interval.high, first.interval.low)
    )
    return (
        f"stale: use trial {first.trial} instead of trial {best.trial}, better by {by} "
        f"({low} to {high})"
    )


def _tied_text(best: int, same: Sequence[int], seeds: int) -> str:
    *first_ones, last = map(str, same)
    who = f"trials {', '.join(first_ones)} and {last}" if first_ones else f"trial {last}"
    if seeds == 1:
        return f"tied: one seed cannot tell {who} from trial {best}"
    return (
        f"tied: {who} cannot be told apart from trial {best}; keep it, or take the cheapest of them"
    )


def _signed_text(config: Config) -> Callable[[float], str]:
    """Return how a score, or a difference of two, is written."""
    text = measure_text(config.metric_name)
    return lambda value: ("-" if value < 0 else "") + text(abs(value))


def retest_table(found: Sequence[Again], chosen: Sequence[Result], config: Config) -> Table:
    """Return one row per setting: its score then and now, and how it compares with the best."""
    text = measure_text(config.metric_name)

    def signed(value: float) -> str:
        return ("-" if value < 0 else "+") + text(abs(value))

    def half(each: Again) -> float | None:
        if each.now is None or not math.isfinite(each.now_interval.high):
            return None
        return max(each.now - each.now_interval.low, each.now_interval.high - each.now)

    names = [
        name
        for name in config.space.axes
        if len({repr(each.params.get(name)) for each in chosen}) > 1
    ]
    has_status = any(each.status != "complete" for each in found)
    columns = (
        Column("trial"),
        Column("then", text),
        Column("now", text),
        Column("now_half_width", text, title="±"),
        Column("rank_now", title="rank"),
        Column("worse_by", signed),
        Column("worse_by_low", signed, title="from"),
        Column("worse_by_high", signed, title="to"),
        *((Column("status"),) if has_status else ()),
        *(Column(name, config.space.axes[name].text, spare=1) for name in names),
    )
    rows = tuple(
        (
            each.trial,
            each.then,
            each.now,
            half(each),
            each.rank,
            each.worse_by,
            *(end if math.isfinite(end) else None for end in each.interval),
            *((each.status,) if has_status else ()),
            *(trial.params.get(name) for name in names),
        )
        for each, trial in zip(found, chosen, strict=True)
    )
    return Table(columns, rows)


def luck_text(found: Sequence[Again], verdict: Verdict, config: Config) -> str | None:
    """Say how far the best one's score was luck; None where it has no score now."""
    best, text = found[0], _signed_text(config)
    if best.now is None or verdict.luck is None:
        return None
    low, high = best.now_interval
    seeds = len(best.scores)
    on = "1 fresh seed" if seeds == 1 else f"{seeds} fresh seeds"
    ends = f" ({text(low)} to {text(high)})" if 0 < high - low < math.inf else ""
    then, now = text(best.then), text(best.now)
    found_now = f"Trial {best.trial} scored {then} in the run and {now}{ends} on {on}"
    if seeds == 1:
        return f"{found_now}: one seed cannot tell how much of it was luck."
    if verdict.luck <= 0:
        return f"{found_now}: no luck shows in it on these."
    lost = f"{found_now}: {text(verdict.luck)} of it was luck, or is lost since"
    return f"{lost}{', within what the seeds explain' * (low <= best.then <= high)}."


def order_text(found: Sequence[Again]) -> str | None:
    """Say whether the order of the settings held; None where there is none."""
    ranked_ones = [each for each in found if each.rank is not None]
    pairs = [
        (a.rank or 0, b.rank or 0)
        for i, a in enumerate(ranked_ones)
        for b in ranked_ones[i + 1 :]
        if a.then != b.then
    ]
    if not pairs:
        return None
    kept = sum(a < b for a, b in pairs)
    return (
        f"Of the pairs with different scores then, {kept} of {len(pairs)} are still in that order."
    )
