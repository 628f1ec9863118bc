"""Checks that a model can be made again: from its spec, its state dict, its file."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch

from cnnzoo.conformance._check import expect
from cnnzoo.conformance._model_case import ModelCase, model_check
from cnnzoo.model_file import load, save
from cnnzoo.registry import build


@model_check
def spec_and_state_dict_rebuild_it(case: ModelCase) -> None:
    """The spec and the state dict, taken together, make a model with the same logits."""
    model, x = case.rgb.model, case.rgb.images(2)
    again = build(json.loads(json.dumps(model.spec)))
    expect(
        again.spec == model.spec,
        f"Expected the rebuilt model to have the same spec, {model.spec}; got {again.spec}.",
    )
    wanted, got = model.state_dict(), again.state_dict()
    expect(
        list(wanted) == list(got),
        "Expected the rebuilt model to have the same state dict keys; "
        f"{sorted(wanted.keys() ^ got.keys())[:3]} differ.",
    )
    again.load_state_dict(wanted)
    with torch.no_grad():
        expect(
            torch.equal(again.eval()(x), model(x)),
            "Expected the same logits after load_state_dict; they differ: something that the "
            "logits depend on is in no parameter and no buffer.",
        )


@model_check
def saved_and_loaded_it_answers_the_same(case: ModelCase) -> None:
    """`cnnzoo.save` and `cnnzoo.load` give a model with equal logits, and its classes."""
    model, x = case.rgb.model, case.rgb.images(2)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "model.safetensors"
        logits = model(x)
        names = [str(i) for i in range(logits.shape[1])]
        save(model, path, classes=names)
        again = load(path)
        expect(
            torch.equal(again(x), logits),
            "Expected equal logits from the saved and loaded model; they differ.",
        )
        expect(
            list(again.classes) == names,  # type: ignore[arg-type]
            f"Expected the loaded model to have the classes {names}; got {again.classes}.",
        )
