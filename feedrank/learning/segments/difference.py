"""How much codes of a profile column differ in the posts that their users like, beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from feedrank.log.impressions import Impressions
from feedrank.state.counts.tally import tally
from feedrank.state.profiles import Profiles

# Standard deviations. On seven simulated networks of 530 and 800 users, columns that split nobody
# reach 3.5 at most at any refit, and age on *course* 6.9 to 27 at the last.
CERTAIN = 4.0
# Of the codes, as many as read 8 million rows. 20 tell the standard deviation to a sixth; of few
# users chance has long tails, and 20 made 4.9 of what 8 % of 1,000 permutations reach.
PERMUTED_ROWS, FEWEST_PERMUTATIONS, MOST_PERMUTATIONS = 8_000_000, 20, 200
FIRST_PERMUTATIONS = 5  # a column that these reach is not looked at further
# Of users who like about as often: 5 to 20 tell columns whose codes differ in that alone, of five
# impressions a post, from chance by .3 standard deviations on average; without any, by 4.9.
STRATA = 10
MOST_POSTS = 10_000  # the most shown: bounds memory to some 20 MB for 64 codes
LEAST_LIKES = 0.5  # expected of a post; with fewer, a single like would decide
# Of all likes, at least, as the weight of a code: without it, chance reaches 9 standard deviations
# where codes have few users; .1 hides bands of a twelfth.
LEAST_SHARE = 0.05
SEED = 1  # any number


class Difference(NamedTuple):
    """A profile column whose codes differ.

    Attributes:
        column: -1 if none does.
        excess: by what its difference exceeds that of chance.
        half: 0 or 1 of each code, by the side of the direction in which the codes differ most.
    """

    column: int = -1
    excess: float = 0.0
    half: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Cells:
    """Impressions of the most shown cells of a segment and a post.

    Attributes:
        users: rows of the catalogue, ascending, shape (n_users,).
        segment: of each of these users.
        user: of each impression, counted from 0 within these users.
        cell: of each impression, counted from 0.
        liked: of each impression.
    """

    users: np.ndarray
    segment: np.ndarray
    user: np.ndarray
    cell: np.ndarray
    liked: np.ndarray

    @classmethod
    def of(cls, rows: Impressions, segment: np.ndarray) -> _Cells:
        n_posts = int(rows.post.max(initial=0)) + 1
        of_row = segment[rows.user] * n_posts + rows.post
        _, cell, n_shown = np.unique(of_row, return_inverse=True, return_counts=True)
        kept = np.argsort(-n_shown, kind="stable")[:MOST_POSTS]
        is_kept = np.isin(cell, kept)
        users, user = np.unique(rows.user[is_kept], return_inverse=True)
        _, cell = np.unique(cell[is_kept], return_inverse=True)
        return cls(users, segment[users], user, cell, rows.liked[is_kept])


def most_different(
    profiles: Profiles, rows: Impressions, columns: Sequence[int], segment: np.ndarray
) -> Difference:
    """The column whose codes differ most in the posts that they like, if any do beyond chance.

    A permutation test: a column's difference is compared with that of its codes permuted among
    users of one segment who like about as often. Each user keeps all rows, so that neither one who
    likes much, nor a code of few users, nor one of a higher like rate passes for a difference. Of
    the columns that exceed their own chance by `CERTAIN` standard deviations, the one that exceeds
    it most is taken.

    Args:
        profiles: of all users.
        rows: impressions of some users, in any order.
        columns: that are compared.
        segment: of all users; differences between segments do not count.
    """
    cells = _Cells.of(rows, segment)
    n_permutations = int(
        np.clip(PERMUTED_ROWS // max(len(rows), 1), FEWEST_PERMUTATIONS, MOST_PERMUTATIONS)
    )
    rng, best = np.random.default_rng(SEED), Difference()
    stratum = cells.segment * STRATA + _strata(cells.user, cells.liked, rng)
    for column in columns:
        codes = profiles.codes[cells.users, column].astype(np.int64)
        n_codes = profiles.columns[column].n_codes
        difference = partial(_difference, n_codes, cells)
        chances = (difference(_permuted(codes, stratum, rng)) for _ in range(n_permutations))
        found, chance = difference(codes), list(islice(chances, FIRST_PERMUTATIONS))
        if found <= max(chance):
            continue
        chance += chances
        excess = found - float(np.mean(chance))
        if excess > max(best.excess, CERTAIN * float(np.std(chance, ddof=1))):
            residual = _residual(n_codes, cells, codes)
            direction = np.linalg.eigh(residual @ residual.T)[1][:, -1]
            best = Difference(column, excess, tuple((direction > 0).astype(int).tolist()))
    return best


def _strata(user: np.ndarray, liked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Number of each user's tenth by like rate, ties in any order, shape (n_users,)."""
    counts = tally(user, liked, int(user.max(initial=-1)) + 1)
    rate = counts.liked / np.maximum(counts.shown, 1)
    rank = np.argsort(np.lexsort((rng.random(len(rate)), rate)))
    return np.asarray(rank * STRATA // max(len(rank), 1))


def _permuted(codes: np.ndarray, stratum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The codes, permuted within each stratum."""
    permuted = np.empty_like(codes)
    drawn = np.argsort(stratum + rng.random(len(codes)))  # a third of the time of `lexsort`
    permuted[np.argsort(stratum, kind="stable")] = codes[drawn]
    return permuted


def _difference(n_codes: int, cells: _Cells, codes: np.ndarray) -> float:
    """Largest squared singular value of likes by code and cell beyond those of the margins.

    As correspondence analysis has it (Greenacre 1984): a difference between codes shows in many
    posts at once, so that the first direction finds it long before a test of all cells does.
    """
    residual = _residual(n_codes, cells, codes)
    return float(np.linalg.eigvalsh(residual @ residual.T)[-1])


def _residual(n_codes: int, cells: _Cells, codes: np.ndarray) -> np.ndarray:
    """Likes beyond those of the margins, in units of them, shape (n_codes, n_cells)."""
    n_cells, code = int(cells.cell.max(initial=0)) + 1, codes[cells.user]
    counts = tally(code * n_cells + cells.cell, cells.liked, n_codes * n_cells)
    counts = counts.reshape(n_codes, n_cells)
    rate = counts.liked.sum(1) / np.maximum(counts.shown.sum(1), 1)
    expected = rate[:, None] * counts.shown
    # Each cell keeps its own total: only the distribution over the codes is tested.
    expected *= counts.liked.sum(0) / np.maximum(expected.sum(0), np.finfo(float).tiny)
    total = counts.liked.sum()
    of_code = np.maximum(expected.sum(1), max(LEAST_SHARE * total, LEAST_LIKES))
    of_cell = np.maximum(expected.sum(0), LEAST_LIKES)
    return np.asarray((counts.liked - expected) * np.sqrt(total / np.outer(of_code, of_cell)))
