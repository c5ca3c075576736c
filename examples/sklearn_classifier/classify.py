"""How well does a support vector machine tell malignant from benign tumours?"""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

X, Y = load_breast_cancer(return_X_y=True)  # read once per worker, not once per trial


def classify(c: float, gamma: float, kernel: str, folds: int) -> dict[str, float]:
    """Return the accuracy of a setting, averaged over the folds.

    Every setting meets the same folds, so that the difference between two is not the luck of a
    draw; and the scaler is part of the model, so that it never sees the fold it is measured on.
    """
    model = make_pipeline(StandardScaler(), SVC(C=c, gamma=gamma, kernel=kernel))
    same_folds = StratifiedKFold(folds, shuffle=True, random_state=0)
    scores = cross_validate(model, X, Y, cv=same_folds, return_train_score=True)
    return {
        "accuracy": scores["test_score"].mean(),
        "accuracy_spread": scores["test_score"].std(),
        "train_accuracy": scores["train_score"].mean(),
    }
