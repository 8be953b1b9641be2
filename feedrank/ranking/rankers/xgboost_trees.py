"""Trees of XGBoost's JSON as arrays: what they add to the log-odds of a few rows, and why."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

import numpy as np

LEAF = -1
NO_COVER = 1e-12  # stands for 0, of which no share can be taken


class Leaves(NamedTuple):
    """Leaves of all trees: a row is in one of each tree, where low <= row < high.

    Attributes:
        low: bound of each feature, float32, shape (n_leaves, n_features).
        high: likewise.
        takes_missing: whether a row that lacks the feature may come here, same shape.
        share: of the rows that a tree grew on and that came to the splits on the feature, those
            that were sent on to here, same shape.
        value: log-odds, float32, shape (n_leaves,).
    """

    low: np.ndarray
    high: np.ndarray
    takes_missing: np.ndarray
    share: np.ndarray
    value: np.ndarray


class Trees:
    """XGBoost's trees, laid end to end, summed in its order and precision.

    A call of XGBoost costs 0.17 ms before it reads a row, and its import a second.

    Args:
        model: of trees for one output, as XGBoost saves it in JSON.

    Attributes:
        n_trees: their number.
        n_nodes: of all trees, leaves included.
        features: that a tree splits on, ascending.
        spread: by how much more, in log-odds, the trees can lift one row than another.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        trees = model["learner"]["gradient_booster"]["model"]["trees"]
        sizes = [len(tree["left_children"]) for tree in trees]
        self._root = np.cumsum([0, *sizes])[:-1]
        self.n_trees, self.n_nodes = len(trees), sum(sizes)
        own = np.arange(self.n_nodes)

        def nodes(name: str, kind: type) -> np.ndarray:
            return np.concatenate([np.array(tree[name], kind) for tree in trees])

        def child(name: str) -> np.ndarray:
            found = nodes(name, np.int64)
            return np.where(found == LEAF, own, found + np.repeat(self._root, sizes))

        self._left, self._right = child("left_children"), child("right_children")
        self._feature = nodes("split_indices", np.int64)
        self._value = nodes("split_conditions", np.float32)  # a split's threshold, a leaf's value
        self._takes_missing = nodes("default_left", bool)
        self._cover = np.maximum(nodes("sum_hessian", np.float64), NO_COVER)
        self._splits = np.flatnonzero(self._left[self._root] != self._root)

        self._depth, level = -1, self._root
        while len(level):
            level = level[self._left[level] != level]
            level = np.concatenate([self._left[level], self._right[level]])
            self._depth += 1
        is_leaf = self._left == own
        self.features = np.unique(self._feature[~is_leaf])
        leaves = np.split(np.where(is_leaf, self._value, np.nan), self._root[1:])
        self.spread = float(sum(np.nanmax(v) - np.nanmin(v) for v in leaves))

    def margin(self, matrix: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Log-odds after all trees, float32, shape (n,), with the bits of XGBoost.

        Args:
            matrix: float32, shape (n, n_features).
            base: log-odds to start from, float32, shape (n,).
        """
        n = len(matrix)
        terms = np.empty((1 + len(self._root), n), np.float32)
        terms[0], terms[1:] = base, self._value[self._root][:, None]
        node, rows = np.repeat(self._root[self._splits][:, None], n, axis=1), np.arange(n)
        for _ in range(self._depth):
            value = matrix[rows, self._feature[node]]
            is_left = (value < self._value[node]) | np.isnan(value) & self._takes_missing[node]
            node = np.where(is_left, self._left[node], self._right[node])
        terms[1 + self._splits] = self._value[node]
        # One tree after the other: a sum over all may be in any order.
        return np.add.accumulate(terms, axis=0)[-1]

    def contributions(self, matrix: np.ndarray) -> tuple[np.ndarray, float]:
        """SHAP values by the paths of the trees (Lundberg et al. 2018), and the trees' mean.

        Let a leaf of value v have features on its path, and of each: x, 1 where the row stays on
        the path, else 0, and s, the share of rows that do. Shapley's weights of the orders of
        features are integrals of powers (Owen 1972), so that feature i contributes

            v (x_i - s_i) * integral over t in [0, 1] of the product over j != i of
            t x_j + (1 - t) s_j

        which Gauss and Legendre's nodes integrate without error.

        Args:
            matrix: float32, shape (n, n_features).

        Returns:
            Log-odds, float64, shape (n, n_features), and the mean that they are relative to.
        """
        leaves = self.leaves(matrix.shape[1])
        # The features of each path first; of others any row stays on it, and so does the share.
        is_asked = np.isfinite(leaves.low) | np.isfinite(leaves.high)
        depth = max(int(is_asked.sum(1).max()), 1)
        path = np.argsort(~is_asked, axis=1, kind="stable")[:, :depth]
        low, high, takes_missing, share = (
            np.take_along_axis(table, path, axis=1) for table in leaves[:4]
        )
        nodes, weights = np.polynomial.legendre.leggauss((depth + 1) // 2)
        nodes = ((1 + nodes) / 2)[:, None, None]
        effects = np.zeros(matrix.shape)
        for row, found in zip(matrix, effects):
            value = row[path]
            stays = (low <= value) & (value < high) | np.isnan(value) & takes_missing
            terms = nodes * stays + (1 - nodes) * share
            others = np.tensordot(weights / 2, terms.prod(2, keepdims=True) / terms, 1)
            of_leaves = leaves.value[:, None] * (stays - share) * others
            found += np.bincount(path.ravel(), of_leaves.ravel(), len(row))
        return effects, float(leaves.value @ share.prod(1))

    def leaves(self, n_features: int) -> Leaves:
        """Leaves of all trees.

        Args:
            n_features: columns of a row.
        """
        node, shape = self._root, (len(self._root), n_features)
        low, high = np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32)
        takes_missing, share, found = np.ones(shape, bool), np.ones(shape), []
        tables = [low, high, takes_missing, share]
        while len(node):
            is_leaf = self._left[node] == node
            found.append([*(table[is_leaf] for table in tables), self._value[node[is_leaf]]])
            node, tables = node[~is_leaf], [table[~is_leaf] for table in tables]
            split = np.arange(len(node)), self._feature[node]
            sides = []
            for is_left, child in ((True, self._left[node]), (False, self._right[node])):
                low, high, takes_missing, share = (table.copy() for table in tables)
                bound, closer = (high, np.minimum) if is_left else (low, np.maximum)
                bound[split] = closer(bound[split], self._value[node])
                takes_missing[split] &= self._takes_missing[node] == is_left
                share[split] *= self._cover[child] / self._cover[node]
                sides.append((child, low, high, takes_missing, share))
            node, *tables = (np.concatenate(both) for both in zip(*sides))
        return Leaves(*(np.concatenate(parts) for parts in zip(*found)))
