"""`allport export`: take an alignment to programs that do not know Allport."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from allport.cli.align import local_model
from allport.cli.alignment_options import AlignmentOptions
from allport.cli.model_options import ModelOptions
from allport.cli.output import Json, console, print_json
from allport.errors import UsageError

__all__ = ["export"]


def export(
    model: str,
    /,
    out: Path,
    *,
    format: Annotated[
        Literal["checkpoint", "value-bias", "peft", "gguf"], Parameter(name="--format")
    ] = "checkpoint",
    json: Json = False,
    alignment: AlignmentOptions = AlignmentOptions(),
    options: ModelOptions = ModelOptions(),
) -> None:
    """Write an alignment as standard files, and measure what is lost.

    checkpoint: a folder that transformers and vLLM load. value-bias: the same for Qwen2, without a
    change of architecture, where heads that share values are displaced alike. peft: a small adapter
    on any architecture, many people in one batch. gguf: a control vector for llama.cpp. Files
    displace every token; align with --tokens all to lose nothing by that.

    Args:
        model: The model that the alignment was made for.
        out: Folder to write, or a file that ends in .gguf.
        format: What to write.
        json: Print JSON for machines.
        alignment: What to export.
        options: How the model is loaded.
    """
    chosen = alignment.chosen()
    if chosen is None:
        raise UsageError("Say what to export: --alignment FOLDER, as allport align wrote it.")
    from allport.alignment import export_alignment

    done = export_alignment(local_model(options.load(model)), chosen, out, format)
    if json:
        print_json(done.to_json())
        return
    shown = console()
    shown.print(f"{model} as {chosen.name}: {done.holds}.", style="bold")
    shown.print("How far answers move, total variation from 0 to 1 with its 95% interval:")
    for what, estimate in (
        ("the alignment moves the model's answers by", done.effect),
        ("the export differs from the alignment on all tokens by", done.rounding),
        ("the export differs from the alignment as fitted by", done.difference),
    ):
        if isnan(estimate.value):
            shown.print(f"  {what}: not known, {estimate.reason}")
        elif isnan(estimate.low):
            shown.print(f"  {what} {estimate.value:.4f} ({estimate.reason})")
        else:
            shown.print(f"  {what} {estimate.value:.4f} ({estimate.low:.4f}, {estimate.high:.4f})")
    for sentence in done.lost:
        shown.print(f"! {sentence}")
    shown.print(f"Written: {done.path}")
