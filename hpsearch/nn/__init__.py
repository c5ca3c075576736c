"""A trainer of small fully connected networks on NumPy alone, the built-in objective's engine.

`train.train` yields one `Epoch` after the other; `settings.Settings` names every hyperparameter.
The families a newcomer extends are tables: `init.INITIALIZERS`, `layers.ACTIVATIONS`,
`optimizers.OPTIMIZERS` and `schedules.SCHEDULES`.

A training step is a list of functions without arguments, built once per mini-batch size: each layer
is given its arrays and returns its forward and its backward step. For networks of this size most of
a step is the cost of the calls, not of the arithmetic, so nothing is looked up, sliced or allocated
while training.
"""
