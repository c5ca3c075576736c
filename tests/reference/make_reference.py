"""Write reference.json: what an independent implementation computes, in float64.

    python tests/reference/make_reference.py

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


def batch_norm(epsilon):
    z = (3 * torch.randn(6, 4) + 2).requires_grad_()
    gamma, beta = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    d_y = torch.randn(6, 4)
    y = functional.batch_norm(z, None, None, gamma, beta, training=True, eps=epsilon)
    y.backward(d_y)
    return {
        "epsilon": epsilon,
        **lists(
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
        ),
    }


def running_averages(beta, epsilon):
    """PyTorch's own, as they are: of the unbiased variance, from mean 0 and variance 1 on."""
    batches, unseen = 2 * torch.randn(4, 5, 3) + 1, torch.randn(4, 3)
    norm = nn.BatchNorm1d(3, eps=epsilon, momentum=1 - beta)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    for z in batches:
        norm(z)
    raw = lists({"running_mean": norm.running_mean, "running_var": norm.running_var})
    m, correction = batches.shape[1], 1 - beta ** len(batches)
    norm.running_mean /= correction
    norm.running_var = (norm.running_var - beta ** len(batches)) * (m - 1) / m / correction
    norm.eval()
    return {
        "beta": beta,
        "epsilon": epsilon,
        **raw,
        **lists(
            {
                "batches": batches,
                "unseen": unseen,
                "gamma": norm.weight,
                "shift": norm.bias,
                "unseen_tanh_of_normed": torch.tanh(norm(unseen)),
            }
        ),
    }


def softmax_cross_entropy():
    """`training_labels` are a whole training set, whose mean weight hpsearch brings to 1."""
    logits, labels = 4 * torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 2])
    training_labels = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    weights, smoothing = torch.tensor([0.5, 1.5, 4.0]), 0.3

    def case(loss_of):
        z = logits.clone().requires_grad_()
        loss = loss_of(z)
        loss.backward()
        return lists({"loss": loss, "d_logits": z.grad})

    def weighted_by_example(z):
        # PyTorch's own mixture weighs the smoothed part by each class; here an example has one.
        each = functional.cross_entropy(z, labels, label_smoothing=smoothing, reduction="none")
        return (each * weights[labels]).mean()

    return {
        **lists({"logits": logits, "labels": labels, "training_labels": training_labels}),
        "weights": weights.tolist(),
        "smoothing": smoothing,
        "plain": case(lambda z: functional.cross_entropy(z, labels)),
        "one_hot": case(
            lambda z: functional.cross_entropy(z, functional.one_hot(labels, 3).double())
        ),
        "smoothed": case(lambda z: functional.cross_entropy(z, labels, label_smoothing=smoothing)),
        "weighted": case(lambda z: functional.cross_entropy(z, labels, weight=weights)),
        "weighted_smoothed": case(weighted_by_example),
    }


def mse():
    outputs, y = torch.randn(6, requires_grad=True), 3 * torch.randn(6)
    loss = functional.mse_loss(outputs, y)
    loss.backward()
    mae = functional.l1_loss(outputs, y)
    return lists({"outputs": outputs, "y": y, "loss": loss, "mae": mae, "d_outputs": outputs.grad})


def activations():
    z, d_a = 2 * torch.randn(3, 4), torch.randn(3, 4)
    z[1, 2] = 0  # where relu and leaky relu have a kink
    result = lists({"z": z, "d_a": d_a})
    functions = {
        "relu": torch.relu,
        "leaky_relu": lambda z: functional.leaky_relu(z, 0.01),
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }
    for name, function in functions.items():
        copy = z.clone().requires_grad_()
        a = function(copy)
        a.backward(d_a)
        result[name] = lists({"a": a, "d_z": copy.grad})
    return result


def dropout():
    keep_prob = 0.6
    a, d_kept = torch.randn(4, 5, requires_grad=True), torch.randn(4, 5)
    on = (torch.rand(4, 5) < keep_prob).double()
    kept = a * on / keep_prob
    kept.backward(d_kept)
    arrays = {"a": a, "d_kept": d_kept, "on": on, "kept": kept, "d_a": a.grad}
    return {"keep_prob": keep_prob, **lists(arrays)}


def optimizers():
    rate, beta1, beta2 = 0.03, 0.8, 0.95
    make = {
        "gradient_descent": lambda w, eps: torch.optim.SGD(w, lr=rate),
        # PyTorch's v <- β v + g, so the form v <- β v + (1 - β) g has its rate times 1 - β.
        "momentum": lambda w, eps: torch.optim.SGD(w, lr=rate * (1 - beta1), momentum=beta1),
        "rmsprop": lambda w, eps: torch.optim.RMSprop(w, lr=rate, alpha=beta2, eps=eps),
        "adam": lambda w, eps: torch.optim.Adam(w, lr=rate, betas=(beta1, beta2), eps=eps),
    }
    start, gradients = torch.randn(7), torch.randn(5, 7)
    cases = []
    for epsilon in (1e-3, 0.7):
        for limit in (None, 2.5):  # between the norms of the gradients: some are shortened
            for name, optimizer_of in make.items():
                if epsilon > 0.1 and name not in ("rmsprop", "adam"):
                    continue
                w = start.clone().requires_grad_()
                optimizer = optimizer_of([w], epsilon)
                steps = []
                for gradient in gradients:
                    w.grad = gradient.clone()
                    if limit is not None:
                        # PyTorch divides by the norm plus 1e-6; this takes that away again.
                        exact = limit * (gradient.norm().item() + 1e-6) / gradient.norm().item()
                        nn.utils.clip_grad_norm_([w], exact)
                    optimizer.step()
                    steps.append(w.tolist())
                chosen = {"optimizer": name, "epsilon": epsilon, "clip_norm": limit}
                cases.append({"settings": chosen, "steps": steps})
    return {
        "settings": {"learning_rate": rate, "momentum": beta1, "beta2": beta2},
        **lists({"start": start, "gradients": gradients}),
        "norms": gradients.norm(dim=1).tolist(),
        "cases": cases,
    }


def network(activation, optimizer_name, epsilon, average, outputs):
    """Three steps on one batch: 5-4-3-outputs, batch norm, L2; then test-time figures."""
    m, rate, l2 = 8, 0.05, 0.7
    x = torch.randn(m, 5)
    y = torch.randint(0, outputs, (m,)) if outputs > 1 else torch.randn(m)
    norms = [nn.BatchNorm1d(n, eps=epsilon, momentum=1 - average) for n in (4, 3)]
    first, second = nn.Linear(5, 4, bias=False), nn.Linear(4, 3, bias=False)
    last = nn.Linear(3, outputs)
    nonlinear = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}[activation]
    model = nn.Sequential(first, norms[0], nonlinear(), second, norms[1], nonlinear(), last)
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

    def loss_of(z):
        return functional.cross_entropy(z, y) if outputs > 1 else functional.mse_loss(z[:, 0], y)

    start = parameters()
    optimizer = {
        "adam": lambda: torch.optim.Adam(model.parameters(), lr=rate),
        "rmsprop": lambda: torch.optim.RMSprop(model.parameters(), lr=rate, alpha=0.999),
    }[optimizer_name]()
    for _ in range(3):
        optimizer.zero_grad()
        loss = loss_of(model(x))
        for layer in (first, second, last):
            loss = loss + l2 / (2 * m) * (layer.weight**2).sum()
        loss.backward()
        optimizer.step()
    correction = 1 - average**3
    for norm in norms:
        norm.running_mean /= correction
        norm.running_var *= (m - 1) / m / correction  # PyTorch averages the unbiased variance
    model.eval()
    z = model(x)
    return {
        "settings": {
            "hidden_units": [4, 3],
            "learning_rate": rate,
            "l2": l2,
            "activation": activation,
            "optimizer": optimizer_name,
            "batch_norm_epsilon": epsilon,
            "batch_norm_average": average,
        },
        **lists({"x": x, "y": y}),
        "start": start,
        "end": parameters(),
        "test_outputs": z.tolist(),
        "test_loss": loss_of(z).item(),
    }


def network_with_dropout():
    """Three steps of momentum on one batch: 5-4-3-3, leaky ReLU, masks as given."""
    m, rate, beta, keep_probs = 7, 0.4, 0.8, (0.8, 0.5)
    x, y = torch.randn(m, 5), torch.randint(0, 3, (m,))
    layers = [nn.Linear(5, 4), nn.Linear(4, 3), nn.Linear(3, 3)]
    masks = [
        [(torch.rand(m, n) < p).double() / p for n, p in zip((4, 3), keep_probs, strict=True)]
        for _ in range(3)
    ]

    def parameters():
        return {
            "weights": [layer.weight.T.tolist() for layer in layers],
            "biases": [layer.bias.tolist() for layer in layers],
            "gammas": [],
        }

    start = parameters()
    optimizer = torch.optim.SGD(
        [part for layer in layers for part in layer.parameters()],
        lr=rate * (1 - beta),
        momentum=beta,
    )
    for step in masks:
        optimizer.zero_grad()
        a = x
        for layer, mask in zip(layers[:2], step, strict=True):
            a = functional.leaky_relu(layer(a), 0.01) * mask
        functional.cross_entropy(layers[2](a), y).backward()
        optimizer.step()
    a = x
    for layer in layers[:2]:
        a = functional.leaky_relu(layer(a), 0.01)
    z = layers[2](a)
    return {
        "settings": {
            "hidden_units": [4, 3],
            "activation": "leaky_relu",
            "batch_norm": False,
            "optimizer": "momentum",
            "learning_rate": rate,
            "momentum": beta,
            "keep_prob": keep_probs,
        },
        **lists({"x": x, "y": y}),
        "masks": [[mask.tolist() for mask in step] for step in masks],
        "start": start,
        "end": parameters(),
        "test_outputs": z.tolist(),
        "test_loss": functional.cross_entropy(z, y).item(),
    }


def softmax_regression():
    """Three steps of gradient descent on one batch, without a hidden layer."""
    rate, x, y, layer = 0.5, torch.randn(6, 4), torch.randint(0, 3, (6,)), nn.Linear(4, 3)

    def parameters():
        return {
            "weights": [layer.weight.T.tolist()],
            "biases": [layer.bias.tolist()],
            "gammas": [],
        }

    start = parameters()
    optimizer = torch.optim.SGD(layer.parameters(), lr=rate)
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(layer(x), y).backward()
        optimizer.step()
    return {
        "settings": {"layers": 0, "optimizer": "gradient_descent", "learning_rate": rate},
        **lists({"x": x, "y": y}),
        "start": start,
        "end": parameters(),
        "test_outputs": layer(x).tolist(),
        "test_loss": functional.cross_entropy(layer(x), y).item(),
    }


def lines(value, depth):
    """JSON with one line per array: a change is seen in its place, and the file stays small."""
    if depth == 0 or not isinstance(value, dict):
        return json.dumps(value)
    inner = ",\n".join(f"{json.dumps(k)}: {lines(v, depth - 1)}" for k, v in value.items())
    return "{\n" + inner + "\n}"


if __name__ == "__main__":
    reference = {
        "origin": f"PyTorch {torch.__version__}, float64, make_reference.py",
        "batch_norm": {"default": batch_norm(1e-5), "large_epsilon": batch_norm(0.5)},
        "running_averages": {
            "default": running_averages(0.9, 1e-5),
            "other": running_averages(0.6, 0.2),
        },
        "softmax_cross_entropy": softmax_cross_entropy(),
        "mse": mse(),
        "activations": activations(),
        "dropout": dropout(),
        "optimizers": optimizers(),
        "networks": {
            "adam_tanh": network("tanh", "adam", 1e-5, 0.9, outputs=3),
            "adam_sigmoid_other_batch_norm": network("sigmoid", "adam", 0.2, 0.6, outputs=3),
            "regression": network("relu", "rmsprop", 1e-5, 0.9, outputs=1),
            "dropout": network_with_dropout(),
            "softmax_regression": softmax_regression(),
        },
    }
    path = Path(__file__).with_name("reference.json")
    path.write_text(lines(reference, 3) + "\n", encoding="utf-8")
