"""Write reference.json: what an independent implementation computes, in float64.

    python tests/nn/reference/make_reference.py

Needs PyTorch, which the tests themselves do not: they read the file.
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

torch.manual_seed(20240229)
torch.set_default_dtype(torch.float64)


def lists(values):
    return {name: value.tolist() for name, value in values.items()}


def batch_norm():
    z = (3 * torch.randn(6, 4) + 2).requires_grad_()
    gamma, beta = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    d_y = torch.randn(6, 4)
    y = functional.batch_norm(z, None, None, gamma, beta, training=True, eps=1e-5)
    y.backward(d_y)
    return lists(
        {
            "z": z,
            "gamma": gamma,
            "beta": beta,
            "d_y": d_y,
            "y": y,
            "d_z": z.grad,
            "d_gamma": gamma.grad,
            "d_beta": beta.grad,
        }
    )


def softmax_cross_entropy():
    logits = (4 * torch.randn(5, 3)).requires_grad_()
    labels = torch.tensor([0, 2, 1, 1, 2])
    loss = functional.cross_entropy(logits, labels)
    loss.backward()
    return lists({"logits": logits, "labels": labels, "loss": loss, "d_logits": logits.grad})


def optimizers():
    rate, beta1, beta2, epsilon = 0.03, 0.8, 0.95, 1e-3
    make = {
        "gradient_descent": lambda w: torch.optim.SGD(w, lr=rate),
        # PyTorch's v <- β v + g, so the form v <- β v + (1 - β) g has its rate times 1 - β.
        "momentum": lambda w: torch.optim.SGD(w, lr=rate * (1 - beta1), momentum=beta1),
        "rmsprop": lambda w: torch.optim.RMSprop(w, lr=rate, alpha=beta2, eps=epsilon),
        "adam": lambda w: torch.optim.Adam(w, lr=rate, betas=(beta1, beta2), eps=epsilon),
    }
    start, gradients = torch.randn(7), torch.randn(5, 7)
    steps = {}
    for name, optimizer_of in make.items():
        w = start.clone().requires_grad_()
        optimizer = optimizer_of([w])
        steps[name] = []
        for gradient in gradients:
            w.grad = gradient.clone()
            optimizer.step()
            steps[name].append(w.tolist())
    settings = {"learning_rate": rate, "momentum": beta1, "beta2": beta2, "epsilon": epsilon}
    return {
        "settings": settings,
        **lists({"start": start, "gradients": gradients}),
        "steps": steps,
    }


def network():
    """Three steps of Adam on one batch: 5-4-3-3, batch norm, tanh, L2; then test-time figures."""
    m, rate, l2, average = 8, 0.05, 0.7, 0.9
    x, y = torch.randn(m, 5), torch.randint(0, 3, (m,))
    norms = [nn.BatchNorm1d(n, eps=1e-5, momentum=1 - average) for n in (4, 3)]
    first, second = nn.Linear(5, 4, bias=False), nn.Linear(4, 3, bias=False)
    last = nn.Linear(3, 3)
    model = nn.Sequential(first, norms[0], nn.Tanh(), second, norms[1], nn.Tanh(), last)
    for norm in norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        norm.running_var.zero_()  # the average starts at zero, and is corrected for that below

    def parameters():
        return {
            "weights": [layer.weight.T.tolist() for layer in (first, second, last)],
            "biases": [layer.bias.tolist() for layer in (*norms, last)],
            "gammas": [norm.weight.tolist() for norm in norms],
        }

    start = parameters()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        losses.append(loss.item())
        for layer in (first, second, last):
            loss = loss + l2 / (2 * m) * (layer.weight**2).sum()
        loss.backward()
        optimizer.step()
    correction = 1 - average**3
    for norm in norms:
        norm.running_mean /= correction
        norm.running_var *= (m - 1) / m / correction  # PyTorch averages the unbiased variance
    model.eval()
    logits = model(x)
    return {
        "settings": {"learning_rate": rate, "l2": l2, "activation": "tanh"},
        **lists({"x": x, "y": y}),
        "start": start,
        "end": parameters(),
        "losses_before_each_step": losses,
        "test_probabilities": functional.softmax(logits, dim=1).tolist(),
        "test_loss": functional.cross_entropy(logits, y).item(),
    }


if __name__ == "__main__":
    reference = {
        "origin": f"PyTorch {torch.__version__}, float64, make_reference.py",
        "batch_norm": batch_norm(),
        "softmax_cross_entropy": softmax_cross_entropy(),
        "optimizers": optimizers(),
        "network": network(),
    }
    path = Path(__file__).with_name("reference.json")
    path.write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8")
