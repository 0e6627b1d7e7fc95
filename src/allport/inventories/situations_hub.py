"""The gated TRAIT set of the Hugging Face hub, and plain words for why it cannot be had."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from allport.errors import InventoryError

__all__ = ["TRAIT_HUB_ID", "TRAIT_SPLITS", "hub_splits"]

TRAIT_HUB_ID = "mirlab/TRAIT"
TRAIT_SPLITS = (
    "Openness",
    "Conscientiousness",
    "Extraversion",
    "Agreeableness",
    "Neuroticism",
    "Machiavellianism",
    "Narcissism",
    "Psychopathy",
)
"""Splits of the hub export, one a trait, 1,000 items each."""
_PAGE = f"https://huggingface.co/datasets/{TRAIT_HUB_ID}"
_ELSE = "or give the path of a file of it"


def hub_splits() -> dict[str, list[dict[str, Any]]]:
    """Rows of the set by split, with the token of HF_TOKEN or of `hf auth login`.

    Raises:
        InventoryError: The datasets library is missing, or the set cannot be had; the message says
            why and what to do.
    """
    try:
        load_dataset = import_module("datasets").load_dataset
    except ImportError:
        raise InventoryError(
            f"Reading {TRAIT_HUB_ID} from the hub needs the datasets library: pip install "
            "'allport[hub]'; a file of it can be read without: give its path."
        ) from None
    try:
        return {
            split: [dict(row) for row in load_dataset(TRAIT_HUB_ID, split=split)]
            for split in TRAIT_SPLITS
        }
    except Exception as error:  # whatever the hub's client raises
        raise InventoryError(f"{_why_not(error)}; {_ELSE}.") from error


def _why_not(error: Exception) -> str:
    """Why the set could not be loaded, as the hub itself tells.

    The datasets library raises one error for several reasons, so the hub is asked for this one.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
    lost = f"The hub cannot be reached for {TRAIT_HUB_ID} ({reason}): check your connection"
    try:
        HfApi().auth_check(TRAIT_HUB_ID, repo_type="dataset")
    except OfflineModeIsEnabled:
        return (
            f"{TRAIT_HUB_ID} is not on this machine, and HF_HUB_OFFLINE forbids asking the hub: "
            "unset it"
        )
    except RepositoryNotFoundError as refusal:  # a GatedRepoError is one of these
        # Without a token the hub answers 401, whatever there is.
        if refusal.response.status_code == 401 and get_token() is None:
            return (
                f"{TRAIT_HUB_ID} is gated and no token is set: accept its terms on {_PAGE}, and "
                "set HF_TOKEN or log in with `hf auth login`"
            )
        if isinstance(refusal, GatedRepoError):
            return (
                f"The terms of {TRAIT_HUB_ID} are not accepted by the account of your token: "
                f"accept them on {_PAGE}"
            )
        return (
            f"The hub has no data set {TRAIT_HUB_ID} that your token may see: look whether {_PAGE} "
            "is still there"
        )
    except HfHubHTTPError as refusal:
        status = refusal.response.status_code
        if status in (401, 403):
            return (
                f"The hub does not take your token for {TRAIT_HUB_ID} (HTTP {status}): set "
                "HF_TOKEN to a valid one that may read gated sets, or log in anew with "
                "`hf auth login`"
            )
        return f"The hub fails to answer for {TRAIT_HUB_ID} (HTTP {status}): try again later"
    except Exception:  # the network's own errors, of the client library of the day
        return lost
    if isinstance(error, ConnectionError):
        return lost
    return f"{TRAIT_HUB_ID} cannot be had from the hub ({reason})"
