"""How weights were fed: said with a side, asked in the words of what the network takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutpoint.errors import UsageError
from cutpoint.preprocess import recipe_named, stated_preprocess, unstated
from cutpoint.spec import ArraySpec, PreprocessSpec

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
    assert (known.array_shape, stated.array_shape) == ((384, 384, 3), (224, 224, 3))


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
    assert "--preprocess imagenet" in unstated("it", shape).type_next


@pytest.mark.parametrize(
    ("shape", "kind"), [((32, 32, 3), PreprocessSpec), ((76, 32, 1), ArraySpec)]
)
def test_what_only_lists_needs_the_shape_alone(shape: tuple[int, ...], kind: type) -> None:
    found = stated_preprocess(None, "it", shape, only_lists=True)
    assert isinstance(found, kind)
    assert found.array_shape == shape
    with pytest.raises(UsageError):
        stated_preprocess(None, "it", shape)


@pytest.mark.parametrize("shape", [None, (None, None, 3), (None,)])
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
