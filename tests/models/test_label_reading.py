"""Labels are read on devices that lack what the CPU has."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from allport.models.label_reading import LabelReader, Prompt
from allport.models.label_tokens import LabelTokens


class OnMps(torch.Tensor):
    """A tensor of a device without float64; what is fetched to the CPU is an ordinary one."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = super().__torch_function__(func, types, args, kwargs or {})
        if func is torch.Tensor.cpu:
            return found.as_subclass(torch.Tensor)
        if isinstance(found, OnMps) and found.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype.")
        return found


def test_a_device_without_float64_reads_what_others_read() -> None:
    labels = LabelTokens((((3,), (4,)), ((5, 6),)))
    prompts = [Prompt(np.array([1, 2], np.int32), labels)]
    reader, again = LabelReader(prompts), LabelReader(prompts)
    which = range(len(reader.runs))
    places = sum(len(run.run.places) for run in reader.runs)
    logits = torch.randn((places, 8), generator=torch.Generator().manual_seed(1))
    (expected,) = reader.read(which, logits)
    (found,) = again.read(which, logits.as_subclass(OnMps))
    np.testing.assert_array_equal(found.log_probabilities, expected.log_probabilities)
    assert found.probabilities == expected.probabilities
    assert found.mass == expected.mass
