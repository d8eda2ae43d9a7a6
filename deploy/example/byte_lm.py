"""A small neural language model over UTF-8 bytes, in plain Python: embeddings of the last bytes, tanh layer, softmax.

The model is that of Bengio et al., "A Neural Probabilistic Language Model" (2003), trained by Adam (Kingma, Ba 2015).
A matrix is a list of rows; a batch has one row for each predicted byte.
"""
# ruff: noqa: B905 (Python 3.9 has no strict zip)

from __future__ import annotations

import copy
import math
import random
from operator import mul

START, ANSWER, END, UNKNOWN = 0, 1, 2, 3  # the tokens that are no bytes
SPECIALS = 4

Matrix = "list[list[float]]"


def product(a: Matrix, b: Matrix) -> Matrix:
    """a times the transpose of b."""
    return [[sum(map(mul, row, other)) for other in b] for row in a]


def transposed(a: Matrix) -> Matrix:
    return [list(column) for column in zip(*a)]


class ByteModel:
    """Predicts the next token from the last `context` tokens.

    `vocabulary` lists the bytes that have a token of their own; `weights` maps names to matrices: all that learns.
    """

    def __init__(self, context: int, embedding: int, hidden: int, vocabulary: list[int], weights: dict | None = None):
        self.context, self.embedding, self.hidden = context, embedding, hidden
        self.vocabulary = vocabulary
        self.token_of = {byte: SPECIALS + index for index, byte in enumerate(vocabulary)}
        self.tokens = SPECIALS + len(vocabulary)
        self.weights: dict[str, Matrix] = weights or {}

    def initialise(self, seed: int) -> None:
        """Random weights, scaled by the number of inputs of each layer; the softmax starts uniform."""
        rng = random.Random(f"weights {seed}")
        inputs = self.context * self.embedding

        def uniform(rows: int, columns: int, scale: float) -> Matrix:
            return [[rng.uniform(-scale, scale) for _ in range(columns)] for _ in range(rows)]

        self.weights = {
            "embedding": uniform(self.tokens, self.embedding, 1.0),
            "hidden": uniform(self.hidden, inputs, math.sqrt(3 / inputs)),
            "hidden_bias": [[0.0] * self.hidden],
            "output": [[0.0] * self.hidden for _ in range(self.tokens)],
            "output_bias": [[0.0] * self.tokens],
        }

    def encode(self, text: str) -> list[int]:
        return [self.token_of.get(byte, UNKNOWN) for byte in text.encode()]

    def loss_and_gradient(self, contexts: list[list[int]], targets: list[int]) -> tuple[float, dict[str, Matrix]]:
        """Mean cross-entropy in nats for each target, and its gradient by every weight."""
        w = self.weights
        embedding, bias, count = w["embedding"], w["output_bias"][0], len(targets)
        inputs = [[value for token in tokens for value in embedding[token]] for tokens in contexts]
        hidden = [[math.tanh(a + b) for a, b in zip(row, w["hidden_bias"][0])] for row in product(inputs, w["hidden"])]

        loss, by_logit = 0.0, []
        for row, target in zip(product(hidden, w["output"]), targets):
            logits = [a + b for a, b in zip(row, bias)]
            top = max(logits)
            powers = [math.exp(logit - top) for logit in logits]
            total = sum(powers)
            loss += math.log(total) + top - logits[target]
            probabilities = [power / (total * count) for power in powers]
            probabilities[target] -= 1 / count
            by_logit.append(probabilities)

        logit_columns = transposed(by_logit)
        by_hidden = [
            [gradient * (1 - value * value) for gradient, value in zip(gradients, values)]
            for gradients, values in zip(product(by_logit, transposed(w["output"])), hidden)
        ]
        hidden_columns = transposed(by_hidden)
        by_embedding = [[0.0] * self.embedding for _ in range(self.tokens)]
        for tokens, row in zip(contexts, product(by_hidden, transposed(w["hidden"]))):
            for place, token in enumerate(tokens):
                start = place * self.embedding
                by_embedding[token] = [a + b for a, b in zip(by_embedding[token], row[start : start + self.embedding])]
        return loss / count, {
            "embedding": by_embedding,
            "hidden": product(hidden_columns, transposed(inputs)),
            "hidden_bias": [[sum(column) for column in hidden_columns]],
            "output": product(logit_columns, transposed(hidden)),
            "output_bias": [[sum(column) for column in logit_columns]],
        }


class Adam:
    """Adam with its usual constants; `first` and `second` are the running moments of every weight."""

    def __init__(self, weights: dict[str, Matrix], state: dict | None = None):
        self.weights = weights
        zero = {name: [[0.0] * len(row) for row in matrix] for name, matrix in weights.items()}
        self.first: dict[str, Matrix] = state["first"] if state else zero
        self.second: dict[str, Matrix] = state["second"] if state else copy.deepcopy(zero)

    def step(self, gradients: dict[str, Matrix], learning_rate: float, number: int, max_norm: float) -> float:
        """Moves the weights (step `number` counts from 1); gives the gradient's norm, before any cut to `max_norm`."""
        norm = math.sqrt(sum(g * g for matrix in gradients.values() for row in matrix for g in row))
        scale = min(1.0, max_norm / norm) if max_norm > 0 and norm > 0 else 1.0
        rate = learning_rate * math.sqrt(1 - 0.999**number) / (1 - 0.9**number)
        for name, matrix in gradients.items():
            moments = zip(self.weights[name], self.first[name], self.second[name], matrix)
            for weights, first, second, row in moments:
                for index, gradient in enumerate(row):
                    g = gradient * scale
                    first[index] = a = 0.9 * first[index] + 0.1 * g
                    second[index] = b = 0.999 * second[index] + 0.001 * g * g
                    weights[index] -= rate * a / (math.sqrt(b) + 1e-8)
        return norm
