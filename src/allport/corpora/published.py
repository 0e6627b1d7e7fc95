"""Published figures of people's answers to the IPIP-NEO that norm tables do not hold.

They are what the population simulator is calibrated to, beside the means and SDs of the norms.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "AGE_SHAPE",
    "DOMAIN_CORRELATIONS",
    "FACET_ALPHAS",
    "FEMALE_SHARE",
    "SHORT_FORM_GAIN",
]

_ALPHAS = {
    "N": (0.83, 0.88, 0.88, 0.80, 0.77, 0.82),
    "E": (0.87, 0.79, 0.84, 0.71, 0.78, 0.81),
    "O": (0.83, 0.84, 0.81, 0.77, 0.86, 0.86),
    "A": (0.82, 0.75, 0.77, 0.73, 0.77, 0.75),
    "C": (0.78, 0.82, 0.71, 0.78, 0.85, 0.76),
}
FACET_ALPHAS = {
    f"{domain}{number}": alpha
    for domain, alphas in _ALPHAS.items()
    for number, alpha in enumerate(alphas, start=1)
}
"""Cronbach's alpha of the ten items of each facet in an American community sample (Goldberg, 1999;
IPIP's table "A Comparison between the 30 Facet Scales", ipip.ori.org)."""

SHORT_FORM_GAIN = 1.2
"""How much more the four items of a facet in the IPIP-NEO-120 correlate with each other than its
ten in the IPIP-NEO-300. Johnson picked those that go together best: their mean alpha is .68
(Johnson, 2014), where four of the ten at random would have .61."""

DOMAIN_CORRELATIONS = np.array(
    [
        [1.00, -0.45, -0.10, -0.30, -0.50],
        [-0.45, 1.00, 0.30, 0.15, 0.25],
        [-0.10, 0.30, 1.00, 0.20, 0.00],
        [-0.30, 0.15, 0.20, 1.00, 0.40],
        [-0.50, 0.25, 0.00, 0.40, 1.00],
    ]
)
"""Correlations of domain scores, in the order N E O A C, shape (5, 5). Round figures of the size
that studies of the IPIP-NEO report; those of one study would be no truer of another."""

FEMALE_SHARE = 0.6
"""Share of women among those who answered on Johnson's web page."""

AGE_SHAPE = (12.0, 10.0, 0.724)
"""Ages as shift + scale exp(spread z) with z standard normal: a median of 22 years, a mean of 25,
and nine tenths between 15 and 45, as among those who answered on Johnson's web page."""
