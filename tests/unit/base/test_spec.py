"""I8: the fingerprint changes exactly when a declared value does."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from cutpoint.base.spec import (
    ArraySpec,
    BackboneSpec,
    FeatureSpec,
    PreprocessSpec,
    TapSpec,
    parse_json,
)

PREPROCESS = PreprocessSpec(256, 224, "bicubic", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
BACKBONE = BackboneSpec("packaged", "net", "image", "ab" * 32, PREPROCESS)
SPEC = FeatureSpec(BACKBONE, (TapSpec("a.b", "gap"), TapSpec("c", "gem(4)")))

CHANGED_PREPROCESS = {
    "resize_px": 255,
    "crop_px": 200,
    "interpolation": "bilinear",
    "mean": (1.0, 2.0, 3.5),
    "std": (4.0, 5.0, 6.5),
    "background": (0, 0, 0),
    "fit": "squash",
    "channels": "BGR",
    "recipe": 2,
    "decode": "scaled",
    "view": 2,
}
CHANGED_ARRAY = {"shape": (8, 2), "dtype": "int64", "pad_id": 0}
CHANGED_BACKBONE = {
    "source": "timm",
    "name": "other",
    "modality": "text",
    "weights_sha256": "cd" * 32,
    "preprocess": replace(PREPROCESS, crop_px=1),
    "constants": (("state", "zeros"),),
}
CHANGED_SPEC = {
    "backbone": replace(BACKBONE, name="x"),
    "taps": (TapSpec("a.b", "gap"),),
    "precision": "bf16",
    "storage": "fp16",
    "calibration": "ef" * 32,
}


def test_every_field_is_tried_below() -> None:
    for cls, changes in (
        (PreprocessSpec, CHANGED_PREPROCESS),
        (ArraySpec, CHANGED_ARRAY),
        (BackboneSpec, CHANGED_BACKBONE),
        (FeatureSpec, CHANGED_SPEC),
    ):
        # Views below 2 draw nothing, so their seed is no part of them.
        assert {field.name for field in fields(cls)} - {"view_seed"} == set(changes)


@pytest.mark.parametrize("name", CHANGED_PREPROCESS)
def test_a_change_of_preprocessing_changes_the_id(name: str) -> None:
    preprocess = replace(PREPROCESS, **{name: CHANGED_PREPROCESS[name]})
    changed = replace(SPEC, backbone=replace(BACKBONE, preprocess=preprocess))
    assert changed.fingerprint() != SPEC.fingerprint()


@pytest.mark.parametrize("name", CHANGED_ARRAY)
def test_a_change_of_array_changes_the_id(name: str) -> None:
    arrays = ArraySpec((8, 3), "float32")
    one, other = (
        replace(SPEC, backbone=replace(BACKBONE, preprocess=each))
        for each in (arrays, replace(arrays, **{name: CHANGED_ARRAY[name]}))
    )
    assert one.fingerprint() != other.fingerprint()
    assert FeatureSpec.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize("name", CHANGED_BACKBONE)
def test_a_change_of_backbone_changes_the_id(name: str) -> None:
    changed = replace(SPEC, backbone=replace(BACKBONE, **{name: CHANGED_BACKBONE[name]}))
    assert changed.fingerprint() != SPEC.fingerprint()


@pytest.mark.parametrize("name", CHANGED_SPEC)
def test_a_change_of_spec_changes_the_id(name: str) -> None:
    assert replace(SPEC, **{name: CHANGED_SPEC[name]}).fingerprint() != SPEC.fingerprint()


def test_the_id_is_the_same_in_every_process_and_release() -> None:
    # Written down when format 1 was made; stores on disk carry it.
    assert SPEC.fingerprint() == "ffd8d2a083796a72"


def test_json_both_ways_gives_the_same_spec() -> None:
    again = FeatureSpec.from_json(json.loads(json.dumps(SPEC.to_json())))
    assert again == SPEC
    assert again.fingerprint() == SPEC.fingerprint()


def test_one_number_has_one_spelling() -> None:
    whole = PreprocessSpec(8, 8, "bilinear", (0, 0, 0), (255, 255, 255))
    broken = PreprocessSpec(8, 8, "bilinear", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    one, other = (replace(SPEC, backbone=replace(BACKBONE, preprocess=p)) for p in (whole, broken))
    assert one.fingerprint() == other.fingerprint()


def test_json_nested_without_end_is_no_json() -> None:
    with pytest.raises(ValueError, match="within one another"):
        parse_json("[" * 200_000 + "]" * 200_000)
