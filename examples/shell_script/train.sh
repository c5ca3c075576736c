#!/bin/sh
# Usage: sh train.sh RATE DECAY
# Learns by logistic regression on which side of a line a point is; awk does the arithmetic.
# hpsearch passes on, in the environment, the seed of the trial and the number of epochs.
set -eu

LC_ALL=C awk -v rate="$1" -v decay="$2" -v seed="${HPSEARCH_SEED:-0}" -v epochs="${HPSEARCH_BUDGET:-20}" '
function random() {              # the same numbers in every awk
    state = (state * 16807) % 2147483647
    return state / 2147483647
}
function side(x, y) { return y > 0.6 * x + 0.1 }
function clipped(z) { return z < -30 ? -30 : z > 30 ? 30 : z }
BEGIN {
    state = seed % 2147483646 + 1
    for (epoch = 1; epoch <= epochs; epoch++) {
        for (i = 0; i < 100; i++) {
            x = 2 * random() - 1
            y = 2 * random() - 1
            gap = side(x, y) - 1 / (1 + exp(-clipped(a * x + b * y + c)))
            step = rate / (1 + decay * steps++)
            a += step * gap * x; b += step * gap * y; c += step * gap
        }
        right = 0
        for (x = -0.95; x < 1; x += 0.1)
            for (y = -0.95; y < 1; y += 0.1)
                right += (side(x, y) == (a * x + b * y + c > 0))
        printf "epoch %d: acc=%.4f\n", epoch, right / 400
    }
}'
