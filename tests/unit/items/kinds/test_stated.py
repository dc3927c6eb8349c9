"""How weights were fed: said with a side, asked in the words of what the network takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import ArraySpec, PreprocessSpec
from cutpoint.items.kinds import stated_preprocess, unstated
from cutpoint.items.kinds.image import RECIPES, recipe_named
from tests.conftest import shape_of

Shape = tuple[int | None, ...]


def test_a_recipe_states_the_side() -> None:
    assert recipe_named("imagenet(224)") == recipe_named("imagenet")
    small = recipe_named("imagenet( 32 )")
    assert (small.resize_px, small.crop_px) == (37, 32)  # 256/224 of the side
    assert small.mean == recipe_named("imagenet").mean


@pytest.mark.parametrize("name", ["imagenet(0)", "tf(100000)", "caffee(32)", "imagenet(3.5)", "()"])
def test_a_side_or_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"imagenet\(32\)"):
        recipe_named(name)


def test_a_side_that_is_known_is_taken_and_a_stated_one_goes_before_it() -> None:
    known = stated_preprocess("imagenet", "it", side_px=384)
    stated = stated_preprocess("imagenet(224)", "it", side_px=384)
    assert (shape_of(known), shape_of(stated)) == ((384, 384, 3), (224, 224, 3))


@pytest.mark.parametrize(
    "given", ["imagenet(224)", PreprocessSpec(64, 64, "bilinear", (0,) * 3, (1,) * 3)]
)
def test_a_network_of_one_side_is_fed_no_other(given: str | PreprocessSpec) -> None:
    with pytest.raises(UsageError, match="takes items of shape 32×32×3"):
        stated_preprocess(given, "it", (32, 32, 3))


@pytest.mark.parametrize("shape", [(43844, 1), (96, 64, 1), (128,), (None, 1), (3, 224, 320), ()])
def test_imagenet_is_never_advised_where_no_photos_are_taken(shape: Shape) -> None:
    told = str(unstated("it", shape))
    assert "imagenet" not in told
    assert "none" in told


@pytest.mark.parametrize("shape", [(43844, 1), (None, 1)])
def test_nor_where_a_recipe_does_not_fit(shape: Shape) -> None:
    with pytest.raises(UsageError) as caught:
        stated_preprocess("imagenet", "it", shape)
    assert "imagenet" not in str(caught.value)


@pytest.mark.parametrize("shape", [None, (None, None, 3), (32, 32, 3)])
def test_it_is_where_photos_may_be_taken(shape: Shape | None) -> None:
    assert "preprocess='imagenet'" in unstated("it", shape).type_next


@pytest.mark.parametrize(
    ("shape", "kind"), [((32, 32, 3), PreprocessSpec), ((76, 32, 1), ArraySpec)]
)
def test_what_only_lists_needs_the_shape_alone(shape: tuple[int, ...], kind: type) -> None:
    found = stated_preprocess(None, "it", shape, only_lists=True)
    assert isinstance(found, kind)
    ((given),) = found.inputs.values()
    assert given.shape == shape
    with pytest.raises(UsageError):
        stated_preprocess(None, "it", shape)


@pytest.mark.parametrize("shape", [None, (None, None, 3), ()])
def test_a_shape_that_is_not_known_is_asked_for_even_then(shape: Shape | None) -> None:
    with pytest.raises(UsageError):
        stated_preprocess(None, "it", shape, only_lists=True)


FIELDS = (
    '"resize_px": 32, "crop_px": 32, "interpolation": "bilinear", "mean": [0, 0, 0], '
    '"std": [255, 255, 255]'
)


def test_a_field_said_twice_is_refused_where_json_takes_the_last(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(f"{{{FIELDS}}}")
    bad.write_text(f'{{{FIELDS}, "std": [1, 1, 1]}}')
    assert stated_preprocess(str(good), "x").std == (255.0,) * 3  # type: ignore[union-attr]  # an image's
    with pytest.raises(UsageError, match="said twice: std"):
        stated_preprocess(str(bad), "x")


def test_each_named_recipe_is_what_it_says() -> None:
    """The evaluation crop of 256 and 224; means and deviations as published, of pixels 0–255."""
    assert set(RECIPES) == {"imagenet", "tf", "caffe", "unit", "none"}
    for spec in RECIPES.values():
        assert (spec.resize_px, spec.crop_px, spec.interpolation) == (256, 224, "bilinear")
    imagenet = RECIPES["imagenet"]
    assert imagenet.mean == pytest.approx((123.675, 116.28, 103.53))
    assert imagenet.std == pytest.approx((58.395, 57.12, 57.375))
    assert (RECIPES["tf"].mean, RECIPES["tf"].std) == ((127.5,) * 3, (127.5,) * 3)
    assert (RECIPES["unit"].mean, RECIPES["unit"].std) == ((0.0,) * 3, (255.0,) * 3)
    assert (RECIPES["none"].mean, RECIPES["none"].std) == ((0.0,) * 3, (1.0,) * 3)
    caffe = RECIPES["caffe"]
    assert (caffe.mean, caffe.std) == ((103.939, 116.779, 123.68), (1.0,) * 3)
    assert [name for name, spec in RECIPES.items() if spec.channels == "BGR"] == ["caffe"]


def test_the_side_is_that_of_the_network_and_the_margin_grows_with_it() -> None:
    assert stated_preprocess("tf", "x").crop_px == 224
    for side, resized in ((32, 37), (112, 128), (224, 256), (448, 512)):
        spec = stated_preprocess("tf", "x", (side, side, 3))
        assert (spec.resize_px, spec.crop_px) == (resized, side)


@pytest.mark.parametrize("shape", [(16, 16, 1), (16, 12, 3), (16, 16), (12, 16, 16, 3)])
def test_what_is_no_square_photo_takes_arrays_as_they_are(shape: tuple[int, ...]) -> None:
    assert stated_preprocess("none", "x", shape) == ArraySpec(shape)
    with pytest.raises(UsageError, match="takes items of shape"):
        stated_preprocess("tf", "x", shape)


def test_a_spec_is_taken_as_it_is_or_refused_where_it_does_not_fit() -> None:
    spec = ArraySpec((4,))
    assert stated_preprocess(spec, "x") is spec
    assert stated_preprocess(spec, "x", (4,)) is spec
    with pytest.raises(UsageError, match=r"preprocessing of backbone .* gives 4"):
        stated_preprocess(spec, "x", (5,))
    with pytest.raises(UsageError, match="given as an int"):
        stated_preprocess(3, "x")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(UsageError, match="A guess would be silent"):
        stated_preprocess(None, "x")


def test_photos_and_arrays_are_told_apart() -> None:
    assert RECIPES["tf"].kind == "image"
    assert ArraySpec((4,)).kind == "array"


IMAGE: dict[str, object] = {
    "resize_px": 32,
    "crop_px": 28,
    "interpolation": "bicubic",
    "mean": [1, 2, 3],
    "std": [4, 5, 6],
}


def written(folder: Path, fields: dict[str, object]) -> Path:
    path = folder / "preprocess.json"
    path.write_text(json.dumps(fields))
    return path


def test_a_file_says_all_there_is_to_say(tmp_path: Path) -> None:
    spec = stated_preprocess(written(tmp_path, IMAGE), "x")
    assert isinstance(spec, PreprocessSpec)
    assert (spec.resize_px, spec.crop_px, spec.interpolation) == (32, 28, "bicubic")
    assert (spec.mean, spec.std, spec.background) == ((1, 2, 3), (4, 5, 6), (255, 255, 255))
    same = {**IMAGE, "crop_px": 32, "fit": "squash", "channels": "BGR", "decode": "scaled"}
    spec = stated_preprocess(str(written(tmp_path, same)), "x", (32, 32, 3))
    assert (spec.fit, spec.channels, spec.decode) == ("squash", "BGR", "scaled")
    one = {**IMAGE, "resize_px": 1, "crop_px": 1, "background": [0, 128, 255], "mean": [0, 0, 0]}
    assert stated_preprocess(written(tmp_path, one), "x").background == (0, 128, 255)
    tokens = {"shape": [16], "dtype": "int64", "pad_id": 0}
    assert stated_preprocess(written(tmp_path, tokens), "x") == ArraySpec((16,), "int64", 0)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"fit": "pad"}, 'fit is "crop"'),
        ({"channels": "GBR"}, 'channels "RGB"'),
        ({"decode": "fast"}, "decode is"),
        ({"mean": [1, 2]}, "three numbers each"),
        ({"mean": [1, 2, 3, 4]}, "three numbers each"),
        ({"std": [4, 5]}, "three numbers each"),
        ({"std": [4, 0, 6]}, "std without zero"),
        ({"mean": [float("nan"), 2, 3]}, "finite"),
        ({"std": [4, 5, float("inf")]}, "finite"),
        ({"background": [0, 0]}, "background is three"),
        ({"background": [0, 0, 256]}, "background is three"),
        ({"background": [-1, 0, 0]}, "background is three"),
        ({"resize_px": 32.0}, "whole numbers"),
        ({"crop_px": 28.0}, "whole numbers"),
        ({"crop_px": True, "resize_px": True}, "whole numbers"),
        ({"recipe": 2}, "recipe is 1"),
        ({"interpolation": "cubic"}, '"cubic" is unknown'),
        ({"crop_px": 0}, "at least 1"),
        ({"crop_px": 33}, "at most resize_px"),
        ({"shape": []}, "can.t be used"),
        ({"colour": 1}, "can.t be used"),
    ],
)
def test_each_wrong_field_of_a_photo_is_refused_alone(
    changed: dict[str, object], what: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=what):
        stated_preprocess(written(tmp_path, {**IMAGE, **changed}), "x")


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": [], "dtype": "float32"},
        {"shape": [4], "dtype": "float64"},
        {"shape": [4], "dtype": "float32", "pad_id": 0},
        {"shape": [4], "dtype": "int64", "pad_id": 0.5},
        {"shape": [4], "dtype": "int64", "pad_id": True},
    ],
)
def test_each_wrong_field_of_an_array_is_refused_alone(
    fields: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="can't be used"):
        stated_preprocess(written(tmp_path, fields), "x")


def test_a_field_that_lacks_is_named(tmp_path: Path) -> None:
    for name in IMAGE:
        left = {key: value for key, value in IMAGE.items() if key != name}
        with pytest.raises(UsageError, match=name):
            stated_preprocess(written(tmp_path, left), "x")
    with pytest.raises(UsageError, match="FileNotFoundError"):
        stated_preprocess(tmp_path / "none.json", "x")


def test_a_side_that_does_not_fit_is_left_out_of_the_same_recipe() -> None:
    with pytest.raises(UsageError, match="gives 64×64×3") as caught:
        stated_preprocess("unit(64)", "net", (32, 32, 3))
    assert caught.value.type_next.endswith("preprocess='unit'")
