"""How well a random forest predicts what it has not seen, also with one column shuffled.

Importing scikit-learn takes longer than making a page. So a process of its own may begin with that
while the run is read: `Aside`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from hpsearch.lazily import Lazily
from hpsearch.scales import Array
from hpsearch.threads import ONE_THREAD

if TYPE_CHECKING:
    import numpy as np
else:  # so that the process begins before it
    np = Lazily("numpy")

Errors = Callable[[Array, Array], tuple[Array, Array]]
"""What returns what `errors` does."""

FOLDS, SHUFFLES = 4, 4
FEWEST_TREES, MOST_TREES, GROWN = 12, 30, 3000
"""Trees of a forest: so many for so few trials that trees times trials is `GROWN`; of many trials
each tree knows more, and a third of them says the same."""


def errors(places: Array, ranks: Array) -> tuple[Array, Array]:
    """Return the squared errors of a forest on rows that it has not seen.

    They are the same at every call.

    Args:
        places: (m, n). Where each of m trials stands on each of n axes.
        ranks: (m,), not all equal. What is to be predicted.
    Returns:
        (m,) squared errors in units of the ranks' variance; and (m, n), the same with the values of
        one column shuffled, mean over the shuffles.
    Raises:
        ImportError: scikit-learn is not installed.
    """
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    order = rng.permutation(len(ranks))
    base = np.empty(len(ranks))
    shuffled = np.empty(places.shape)
    trees = min(MOST_TREES, max(FEWEST_TREES, GROWN // len(ranks)))
    for fold in range(FOLDS):
        unseen = order[fold::FOLDS]
        seen = np.setdiff1d(order, unseen)
        forest = RandomForestRegressor(trees, min_samples_leaf=2, random_state=fold, n_jobs=1)
        forest.fit(places[seen], ranks[seen])
        # One call for all shuffles of all parameters: a call costs more than its rows.
        asked = [places[unseen]]
        for column in range(places.shape[1]):
            for _ in range(SHUFFLES):
                asked.append(places[unseen].copy())
                asked[-1][:, column] = rng.permutation(asked[-1][:, column])
        answers = forest.predict(np.concatenate(asked)).reshape(len(asked), len(unseen))
        squares = (answers - ranks[unseen]) ** 2 / np.var(ranks)
        base[unseen] = squares[0]
        shuffled[unseen] = squares[1:].reshape(-1, SHUFFLES, len(unseen)).mean(axis=1).T
    return base, shuffled


class Aside:
    """`errors`, in a process that imports scikit-learn at once: `with Aside() as errors:`.

    Where it cannot be started, or comes to nothing, the answer is computed here instead: it is the
    same.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # -P and this process's path: a random.py in the user's folder must not shadow another.
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD},
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def __call__(self, places: Array, ranks: Array) -> tuple[Array, Array]:
        """Return what `errors` does."""
        answer = b""
        if self._process is not None:
            asked = json.dumps([places.tolist(), ranks.tolist()]).encode()
            with contextlib.suppress(OSError):
                answer, _ = self._process.communicate(asked)
            self._process = None
        try:
            base, shuffled = json.loads(answer)
        except ValueError:
            return errors(places, ranks)
        return np.array(base), np.array(shuffled)


def main() -> None:
    """Be the process of an `Aside`."""
    # scikit-learn imports it where it is there, which takes long, and needs it for no array.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    import sklearn.ensemble  # noqa: F401  while the question is not there yet

    del sys.modules["pandas"]
    places, ranks = json.load(sys.stdin)
    answer = errors(np.array(places), np.array(ranks))
    json.dump([each.tolist() for each in answer], sys.stdout)
