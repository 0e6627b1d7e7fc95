"""From a name to a model that can be asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allport.errors import ModelError, UsageError
from allport.models.process import prepare_process

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from allport.models.respondent import Respondent
    from allport.models.transformers_model import TransformersModel

__all__ = ["EMBEDDED", "load_model", "quietly"]

EMBEDDED = Path(__file__).parent / "embedded"
"""Folder of the model that ships with the package."""

_ENDPOINT = "openai:"
_DTYPES = ("auto", "float32", "bfloat16", "float16")
_PLACEMENTS = ("auto", "balanced", "balanced_low_0", "sequential")
_WANTED = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]


def load_model(
    name: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    batch_size: int | None = None,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    trust_remote_code: bool = False,
) -> Respondent:
    """Load a model by name.

    Args:
        name: "embedded" (ships with Allport), a local folder with a transformers model, a Hugging
            Face id such as "Qwen/Qwen3-8B", or "openai:NAME" for a model behind an
            OpenAI-compatible service.
        revision: Branch, tag or commit of a Hugging Face id.
        dtype: "float32", "bfloat16", "float16", or "auto": the checkpoint's own on an accelerator,
            float32 on a CPU.
        device_map: A device such as "cpu" or "cuda:1", "auto" to spread a model over several, or
            a map as in transformers; by default the best single device.
        batch_size: Rows in a batch; chosen by a token budget by default.
        max_new_tokens: Limit of a written answer.
        temperature: Of written answers; 0 for the most probable tokens.
        trust_remote_code: Run Python code that comes with the weights. Only for sources you trust.

    Returns:
        A respondent.

    Raises:
        UsageError: An option does not fit the kind of model.
        ModelError: The model cannot be had: unknown, gated, out of reach, without safetensors, or
            of a kind that transformers does not know.
    """
    if name.startswith(_ENDPOINT):
        local = (revision, device_map, batch_size)
        if dtype != "auto" or trust_remote_code or any(option is not None for option in local):
            raise UsageError(
                f"{name} runs elsewhere: revision, dtype, device map, batch size and remote code "
                "are for models on this machine."
            )
        return _endpoint(name.removeprefix(_ENDPOINT), max_new_tokens, temperature)
    if dtype not in _DTYPES:
        raise UsageError(f"Unknown dtype {dtype!r}; known: {', '.join(_DTYPES)}.")
    prepare_process()
    folder, shown, origin = _find(name, revision, trust_remote_code)
    model, tokenizer = _load(folder, shown, dtype, device_map, trust_remote_code)
    loading = {
        # The same weights elsewhere: a folder by its whole path, an id with its commit.
        "name": str(folder) if origin["source"] == "folder" else name,
        "revision": origin.get("revision"),
        "dtype": dtype,
        "device_map": device_map,
        "batch_size": batch_size,
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "trust_remote_code": trust_remote_code,
    }
    return _respondent(folder, shown, origin, model, tokenizer, loading)


def _respondent(
    folder: Path,
    shown: str,
    origin: dict[str, Any],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    loading: dict[str, Any],
) -> TransformersModel:
    from allport.models.identity import files_hash
    from allport.models.transformers_model import TransformersModel

    def identity() -> dict[str, Any]:
        return {**origin, "weights_sha256": files_hash(folder.glob("*.safetensors"))}

    given = {key: loading[key] for key in ("batch_size", "max_new_tokens", "temperature")}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return TransformersModel(model, tokenizer, shown, identity=identity, loading=loading, **options)


def _endpoint(name: str, max_new_tokens: int | None, temperature: float | None) -> Respondent:
    from allport.models.endpoint import Endpoint

    if not name:
        raise UsageError("openai: needs the model's name at the service, such as openai:gpt-4o.")
    given = {"answer_tokens": max_new_tokens, "temperature": temperature}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return Endpoint(name, **options)


def _find(name: str, revision: str | None, code: bool) -> tuple[Path, str, dict[str, Any]]:
    """Folder of a model's files, the name it is shown by, and where it is from."""
    if name == "embedded":
        if not (EMBEDDED / "config.json").is_file():
            raise ModelError("This copy of Allport has no embedded model; install it again.")
        return EMBEDDED, name, {"source": "embedded"}
    folder = Path(name).expanduser()
    if folder.is_dir():
        folder = folder.resolve()  # weights are hashed when they are asked about, wherever that is
        return folder, folder.name, {"source": "folder"}
    looks_like_path = name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1
    if looks_like_path or folder.exists():
        raise ModelError(
            f"There is no model folder at {name}; give a folder with config.json and safetensors "
            "weights, or a Hugging Face id."
        )
    folder = _fetch(name, revision, code)
    # The cache keeps every revision in a folder that is named by its commit.
    return folder, name, {"source": "hub", "revision": folder.name}


def _fetch(name: str, revision: str | None, code: bool) -> Path:
    """Download a model, or find it in the cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    folder = "a local folder with the model works too"
    try:
        path = snapshot_download(
            name,
            revision=revision,
            allow_patterns=[*_WANTED, "*.py"] if code else _WANTED,
            # Folders inside hold other formats; consolidated files hold the same weights again.
            ignore_patterns=["*/*", "consolidated*"],
        )
    except HFValidationError as error:
        raise ModelError(
            f"{name!r} is neither a folder nor a Hugging Face id such as owner/model."
        ) from error
    except GatedRepoError as error:  # before RepositoryNotFoundError, which it is a kind of
        raise ModelError(
            f"{name} is gated: accept its terms on its page and log in with `hf auth login`; "
            f"{folder}."
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{name} has no revision {revision!r}; {folder}.") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"The Hugging Face Hub has no model {name!r}, or it is private: check the name or log "
            f"in with `hf auth login`; {folder}."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError) as error:
        raise ModelError(
            f"{name} is not on this machine, and the Hugging Face Hub is out of reach: connect, or "
            f"try again later; {folder}."
        ) from error
    except Exception as error:  # a full disk, a connection lost halfway in a way of its own
        said = getattr(error, "strerror", None) or _first_line(error)
        raise ModelError(f"{name} cannot be downloaded: {said}; {folder}.") from error
    return Path(path)


def _load(
    folder: Path,
    shown: str,
    dtype: str,
    device_map: str | dict[str, Any] | None,
    code: bool,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder} has no config.json; give the folder of a model saved with save_pretrained()."
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{shown} has no safetensors weights, and others are not loaded, as they can run code; "
            "convert them with save_pretrained()."
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spread = isinstance(device_map, dict) or device_map in _PLACEMENTS
    device = None if spread else _device(device_map)
    on_cpu = device is not None and device.type == "cpu"
    wanted = "float32" if dtype == "auto" and on_cpu else dtype
    try:
        with quietly():
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=code)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype="auto" if wanted == "auto" else getattr(torch, wanted),
                device_map=device_map if spread else None,
                use_safetensors=True,
                trust_remote_code=code,
                output_loading_info=True,
            )
            model, found = loaded
            if device is not None:
                model = model.to(device)
    except Exception as error:  # configurations, weights and tokenizers fail in ways of their own
        raise ModelError(_why_not(shown, error)) from error
    lacking = sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])})
    if lacking:
        raise ModelError(
            f"The weights of {shown} lack {len(lacking)} of the model's parameters, such as "
            f"{lacking[0]}; it may be no language model."
        )
    return model, tokenizer


def _device(name: Any) -> torch.device:
    import torch

    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ModelError(
            f"There is no device {name!r} here; give cpu, cuda, cuda:1, mps or auto."
        ) from error
    return device


def _why_not(shown: str, error: Exception) -> str:
    said = _first_line(error)
    if "trust_remote_code" in str(error):
        return (
            f"{shown} brings Python code of its own, which is not run unless you say so "
            "(trust_remote_code); only do that for a source you trust."
        )
    if "Unrecognized configuration class" in said:
        return f"{shown} is no causal language model; give one that writes text."
    return f"{shown} cannot be loaded: {said}."


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the progress bars of loading."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped in transformers
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # as above
