"""Isolation forests: how few random cuts set a row apart from the rows that are usual.

Liu, Ting and Zhou, "Isolation Forest", ICDM 2008. The trees are grown by scikit-learn from a fixed seed and kept as
plain arrays: a row is scored in a tenth of a millisecond, and the same rows give the same forest. scikit-learn is
loaded when the first forest is grown, not before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats

TREES: Final = 64
SAMPLE: Final = 256
"""Rows each tree is grown from; the paper's own choice. More would hide odd rows among their like."""

_SEED = 20_081_215

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """The trees end to end. A leaf is its own child; ``depth`` holds the length of the path that ends in it."""

    roots: NDArray[np.int32]
    feature: NDArray[np.int16]
    threshold: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    depth: Floats
    levels: int
    usual_depth: float

    def scores(self, rows: Rows) -> Floats:
        """From 0 to 1, one per row: 2 to the power of the mean path's length over the usual one, negated."""
        node = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        number = np.arange(len(rows))[:, None]
        for _ in range(self.levels):
            below = rows[number, self.feature[node]] <= self.threshold[node]
            node = np.where(below, self.left[node], self.right[node])
        found: Floats = np.exp2(-self.depth[node].mean(axis=1) / self.usual_depth)
        return found


def grow(rows: Rows) -> Forest:
    """The forest of these rows, at least two. Raises ImportError without scikit-learn."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415  # an extra, and slow to load

    sample = min(SAMPLE, len(rows))
    grown = IsolationForest(n_estimators=TREES, max_samples=sample, random_state=_SEED).fit(rows)
    trees = [estimator.tree_ for estimator in grown.estimators_]
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])
    depths = [_depths(tree.children_left, tree.children_right) + _usual(tree.n_node_samples) for tree in trees]
    return Forest(
        roots=starts[:-1].astype(np.int32),
        feature=np.maximum(np.concatenate([tree.feature for tree in trees]), 0).astype(np.int16),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        left=_joined([tree.children_left for tree in trees], starts),
        right=_joined([tree.children_right for tree in trees], starts),
        depth=np.concatenate(depths),
        levels=max(int(tree.max_depth) for tree in trees),
        usual_depth=float(_usual(np.array([sample]))[0]) or 1.0,
    )


def _joined(children: Sequence[NDArray[np.int64]], starts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Each tree's children by their place among all nodes; a leaf, which has none, is its own."""
    placed = [
        np.where(child < 0, np.arange(len(child)), child) + start
        for child, start in zip(children, starts, strict=False)
    ]
    return np.concatenate(placed).astype(np.int32)


def _depths(left: NDArray[np.int64], right: NDArray[np.int64]) -> Floats:
    """How many cuts lead to each node; a parent stands before its children."""
    depth = np.zeros(len(left))
    for node in range(len(left)):
        if left[node] >= 0:
            depth[left[node]] = depth[right[node]] = depth[node] + 1
    return depth


def _usual(counts: NDArray[np.int64]) -> Floats:
    """The mean length of a path among so many rows: of an unsuccessful search in a binary search tree."""
    count = counts.astype(np.float64)
    before = np.maximum(count - 1.0, 1.0)
    lengths = 2.0 * (np.log(before) + np.euler_gamma) - 2.0 * before / np.maximum(count, 1.0)
    found: Floats = np.where(count > 2, lengths, np.where(count == 2, 1.0, 0.0))
    return found
