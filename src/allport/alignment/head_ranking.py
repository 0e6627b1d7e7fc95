"""Which attention heads carry a person: ranked by items that were not fitted on.

A head is as good as its ridge predicts answers to items left out of the fit, one at a time. With
120 items that is 120 fits a person and head, all of them in one product; see `ridge_directions`.
"""

from __future__ import annotations

from torch import Tensor

from allport.errors import UsageError

__all__ = ["default_head_count", "rank_heads"]

_MOST = 24
_SHARE = 4


def default_head_count(heads: int) -> int:
    """How many heads are steered where nobody says: 24, and no more than a quarter of them all."""
    return max(1, min(_MOST, heads // _SHARE))


def rank_heads(errors: Tensor, count: int) -> Tensor:
    """The `count` heads with the smallest held-out error, best first.

    Equal errors go to the lower head number, that is to the earlier layer: a stable order, so that
    the same errors always give the same heads.

    Args:
        errors: Held-out error of each person on each head, (people, heads).
        count: Heads wanted of each person.

    Returns:
        Head numbers, (people, count), int64.

    Raises:
        UsageError: There are not that many heads.
    """
    heads = errors.shape[1]
    if not 1 <= count <= heads:
        raise UsageError(f"{count} heads were asked for, and the model has 1 to {heads} to give.")
    return errors.argsort(dim=1, stable=True)[:, :count]
