"""Write gaussian.json: what scikit-learn and mpmath compute of a Gaussian process.

    python tests/reference/make_gaussian.py

Needs scikit-learn and mpmath, which the tests themselves do not: they read the file.
"""

import json
from pathlib import Path

import mpmath
import numpy as np
import sklearn
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

JITTER = 1e-8  # in units of the signal's variance, as hpsearch adds


def process(rng, count, axes):
    points = rng.random((count, axes))
    values = np.sin(5 * points[:, 0]) + points[:, -1] ** 2 + 0.1 * rng.standard_normal(count)
    lengths = rng.uniform(0.2, 1.5, axes)
    signal, noise = rng.uniform(0.5, 2), rng.uniform(0.005, 0.05)
    kernel = ConstantKernel(signal) * Matern(lengths, nu=2.5) + WhiteKernel(noise)
    model = GaussianProcessRegressor(kernel, alpha=JITTER * signal, optimizer=None)
    model.fit(points, values)
    likelihood, gradient = model.log_marginal_likelihood(model.kernel_.theta, eval_gradient=True)
    others = rng.random((6, axes))
    mean, deviation = model.predict(others, return_std=True)
    return {
        "points": points.tolist(),
        "values": values.tolist(),
        "lengths": lengths.tolist(),
        "signal": signal,
        "noise": noise,
        "log_likelihood": likelihood,
        "gradient": [*gradient[1:-1].tolist(), gradient[0], gradient[-1]],
        "others": others.tolist(),
        "mean": mean.tolist(),
        "variance_with_noise": (deviation**2).tolist(),
    }


def log_improvement(z):
    """log(phi(z) + z Phi(z)), with hundreds of digits as far out the two terms nearly cancel."""
    with mpmath.workdps(400):
        z = mpmath.mpf(z)
        improvement = mpmath.npdf(z) + z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2
        return float(mpmath.log(improvement))


if __name__ == "__main__":
    rng = np.random.default_rng(20240229)
    places = [-1e4, -300, -101, -99, -40, -10, -5, -2, -1.001, -0.999, -0.5, 0, 0.5, 3, 30]
    reference = {
        "origin": f"scikit-learn {sklearn.__version__}, mpmath {mpmath.__version__}, "
        "make_gaussian.py",
        "processes": [process(rng, 12, 1), process(rng, 25, 4)],
        "log_improvement": [[z, log_improvement(z)] for z in places],
    }
    path = Path(__file__).with_name("gaussian.json")
    path.write_text(json.dumps(reference, indent=0) + "\n", encoding="utf-8")
