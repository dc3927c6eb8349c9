"""Image decoding and the weights' recipe; numbers in names are those of bad-inputs.md."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile, features

from cutpoint.base.errors import BadItem, UsageError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.items.kinds.image import decode_image, fit_to_recipe, prepare_image
from cutpoint.items.kinds.image import prepare as preprocess_image
from cutpoint.items.kinds.image.room import Room
from tests.conftest import encoded, noisy_image, shape_of

SPEC = PreprocessSpec(32, 28, "bicubic", (127.5,) * 3, (127.5,) * 3)
PHOTO = noisy_image(0, 7, side=48)


def reason_of(data: bytes) -> str:
    with pytest.raises(BadItem) as found:
        prepare_image(data, SPEC)
    return found.value.reason


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(decode_image(data, SPEC)[0].convert("RGB"))


def test_case_1_an_empty_file_is_bad() -> None:
    assert reason_of(b"") == "empty file (0 bytes)"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_case_2_a_file_that_breaks_off_is_bad_and_never_grey(kind: str, share: float) -> None:
    whole = encoded(PHOTO, kind)
    assert reason_of(whole[: int(len(whole) * share)])


def test_case_2_truncated_loading_switched_on_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UsageError, match="LOAD_TRUNCATED_IMAGES"):
        prepare_image(encoded(PHOTO, "PNG"), SPEC)


def test_case_3_text_named_as_an_image_is_bad() -> None:
    assert "not an image" in reason_of(b"hello, I am a text file\n" * 20)


def test_case_4_the_content_tells_the_format_and_a_note_is_made() -> None:
    image, notes = decode_image(encoded(PHOTO, "PNG"), SPEC, "photo.jpg")
    assert notes == ("PNG file named .jpg: decoded by content",)
    np.testing.assert_array_equal(np.asarray(image), PHOTO)
    assert decode_image(encoded(PHOTO, "JPEG"), SPEC, "photo.JPG")[1] == ()


def png_that_declares(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("side", [13_400, 60_000])
def test_cases_5_and_6_too_many_declared_pixels_are_bad_before_decoding(side: int) -> None:
    bomb = png_that_declares(side, side, zlib.compress(b"\0" * 1000))
    assert "pixels declared; not decoded" in reason_of(bomb)


def test_a_small_file_of_many_pixels_is_bad_before_decoding() -> None:
    """A PNG of 0.49 MB and 13000² pixels took 0.7 GB and 12 s, one of 16 bits 3.5 GB."""
    side = 13_000
    rows = zlib.compressobj()
    packed = b"".join(rows.compress(bytes(3 * side + 1)) for _ in range(side)) + rows.flush()
    assert "13000×13000 px declared in" in reason_of(png_that_declares(side, side, packed))


def test_a_thin_picture_is_not_stretched_to_a_huge_one() -> None:
    spec = PreprocessSpec(224, 224, "bicubic", (127.5,) * 3, (127.5,) * 3)
    with pytest.raises(BadItem, match="too long and thin"):
        prepare_image(np.zeros((1, 3000, 3), np.uint8), spec)
    assert prepare_image(np.zeros((1, 900, 3), np.uint8), spec)[0].shape == (224, 224, 3)


@pytest.mark.parametrize("mode", ["P", "PA", "LA", "RGBA", "CMYK", "YCbCr", "1", "I;16", "I", "F"])
def test_a_large_image_is_converted_in_bands_to_the_same_pixels(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (41, 37, 4)).astype(np.uint8))
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray(random.integers(0, 70_000, (41, 37)).astype(kind))
    elif mode == "PA":
        image = image.convert("RGB").quantize(16).convert("PA")
    else:
        image = image.convert("RGB").convert(mode) if mode != "RGBA" else image
    whole = decode_image(image, SPEC)[0].convert("RGB")
    monkeypatch.setattr(preprocess_image, "_BAND_PIXELS", 37 * 5)
    np.testing.assert_array_equal(decode_image(image, SPEC)[0].convert("RGB"), whole)


def test_pictures_of_all_workers_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of 8 fit in at a time; one that is larger than all there is goes alone."""
    pixels = 64 * 64 + 32 * 32
    room = Room(2 * pixels)
    monkeypatch.setattr(preprocess_image, "DECODING", room)
    taken: list[int] = []
    real = preprocess_image.fit_to_recipe

    def watched(*given: object) -> np.ndarray:
        taken.append(room.n_taken)
        time.sleep(0.01)
        return real(*given)

    monkeypatch.setattr(preprocess_image, "fit_to_recipe", watched)
    photos = [encoded(noisy_image(0, seed, side=64), "PNG") for seed in range(16)]
    photos[5] = encoded(noisy_image(0, 5, side=300), "PNG")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda data: prepare_image(data, SPEC)[0].shape, photos))
    assert found == [(28, 28, 3)] * 16
    assert max(taken) == 2 * pixels
    assert room.n_taken == 0
    with pytest.raises(BadItem):  # a bad one gives its room back
        prepare_image(photos[0][:-40], SPEC)
    assert room.n_taken == 0


def test_case_5_a_bomb_does_not_grow_the_process() -> None:
    code = """
import zlib
from tests.unit.items.kinds.image.test_prepare import SPEC, png_that_declares
from cutpoint.items.kinds.image import prepare_image
rows = zlib.compressobj()
packed = b"".join(rows.compress(bytes(42_001)) for _ in range(14_000)) + rows.flush()
bomb = png_that_declares(14_000, 14_000, packed)
def peak_kb():  # not ru_maxrss, which a process inherits from the one that started it
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
before = peak_kb()
try:
    prepare_image(bomb, SPEC)
except ValueError as error:
    print(str(error))
print((peak_kb() - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    reason, grown_mb = done.stdout.splitlines()
    assert "not decoded" in reason
    assert int(grown_mb) < 64  # decoded it would be 588 MB


def test_case_7_all_eight_orientations_give_the_same_pixels() -> None:
    upright = Image.fromarray(PHOTO[:40])
    turns = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    for orientation, turn in turns.items():
        stored = upright if turn is None else upright.transpose(turn)
        exif = Image.Exif()
        exif[0x0112] = orientation
        buffer = io.BytesIO()
        stored.save(buffer, "PNG", exif=exif)
        np.testing.assert_array_equal(pixels_of(buffer.getvalue()), PHOTO[:40], str(orientation))


def test_case_8_cmyk_jpeg_becomes_rgb() -> None:
    found = pixels_of(encoded(PHOTO, "JPEG", mode="CMYK", quality=95))
    assert found.shape == PHOTO.shape
    assert np.abs(found.astype(int) - PHOTO).mean() < 20


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0, 257, 65535]], np.uint16), [0, 1, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[-10.0, 0.0, 10.0]], np.float32), [0, 128, 255]),
        (np.array([[0, 65535, 131070]], np.int32), [0, 128, 255]),
    ],
)
def test_case_9_deep_grey_is_scaled_not_clipped(pixels: np.ndarray, expected: list[int]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF")
    np.testing.assert_array_equal(pixels_of(buffer.getvalue())[0, :, 0], expected)


def test_case_9_nan_pixels_are_bad() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(buffer, "TIFF")
    assert "NaN" in reason_of(buffer.getvalue())


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_case_10_transparent_pixels_show_the_declared_background(mode: str) -> None:
    clear = Image.new(mode, (4, 4), 0)
    buffer = io.BytesIO()
    clear.save(buffer, "PNG")
    assert (pixels_of(buffer.getvalue()) == 255).all()


def test_case_10_palette_with_transparency_is_composited() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=1)
    assert (pixels_of(buffer.getvalue()) == 255).all()


@pytest.mark.parametrize("mode", ["L", "1"])
def test_case_11_grey_and_one_bit_become_rgb(mode: str) -> None:
    found = pixels_of(encoded(PHOTO, "PNG", mode=mode))
    assert found.shape == PHOTO.shape
    assert (found[..., 0] == found[..., 2]).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF"])
def test_case_12_the_first_frame_is_taken_and_noted(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    image, notes = decode_image(buffer.getvalue(), SPEC)
    assert notes == ("first of 3 frames taken",)
    assert image.getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.97])
def test_case_2_an_animation_that_breaks_off_is_bad_or_its_first_frame_is_whole(
    kind: str, share: float
) -> None:
    frames = [Image.fromarray(noisy_image(channel, channel, side=40)) for channel in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    whole = buffer.getvalue()
    try:
        found = pixels_of(whole[: int(len(whole) * share)])
    except BadItem:
        return
    assert share >= 0.33
    np.testing.assert_array_equal(found, pixels_of(whole))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF"])
def test_files_with_random_bytes_changed_are_images_or_bad_items_and_nothing_else(
    kind: str,
) -> None:
    random = np.random.default_rng(0)
    frames = [Image.fromarray(noisy_image(channel, channel, side=40)) for channel in range(3)]
    buffer = io.BytesIO()
    several = {"save_all": True, "append_images": frames[1:]} if kind in ("GIF", "TIFF") else {}
    frames[0].save(buffer, kind, **several)
    n_bad = 0
    for _ in range(300):
        data = bytearray(buffer.getvalue())
        for place in random.integers(0, min(len(data), 600), random.integers(1, 6)):
            data[place] = random.integers(256)
        try:
            assert prepare_image(bytes(data), SPEC)[0].shape == shape_of(SPEC)
        except BadItem:
            n_bad += 1
    assert n_bad > 0


def test_case_10_an_rgb_png_with_a_transparent_colour_is_composited() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (0, 0, 0)).save(buffer, "PNG", transparency=(0, 0, 0))
    assert (pixels_of(buffer.getvalue()) == 255).all()


def test_case_13_one_pixel_gives_features_and_a_thread_is_bad() -> None:
    one = prepare_image(encoded(np.full((1, 1, 3), 90, np.uint8), "PNG"), SPEC)[0]
    assert one.shape == shape_of(SPEC)
    assert (one == 90).all()
    wide = PreprocessSpec(256, 224, "bicubic", (0,) * 3, (1,) * 3)
    with pytest.raises(BadItem, match="too long and thin"):
        prepare_image(encoded(np.zeros((1, 10_000, 3), np.uint8), "PNG"), wide)


def test_case_14_broken_icc_and_exif_blobs_are_ignored() -> None:
    broken = encoded(PHOTO, "PNG", icc_profile=b"garbage", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    np.testing.assert_array_equal(pixels_of(broken), PHOTO)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<svg xmlns='x'></svg>", "SVG"),
        (b"SIMPLE  =                    T", "FITS"),
    ],
)
def test_case_15_other_formats_are_refused_by_name(data: bytes, kind: str) -> None:
    assert reason_of(data + b" " * 200).startswith(kind)


def test_case_16_heic_names_the_extra_where_its_plugin_is_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(features, "check", lambda name: False)
    assert 'pip install "cutpoint-ml[heif]"' in reason_of(heic)


def test_case_16_heic_is_read_where_its_plugin_is_installed() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    smooth = Image.linear_gradient("L").resize((48, 48)).convert("RGB")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(smooth).save(buffer, quality=95)
    found = pixels_of(buffer.getvalue())
    assert np.abs(found.astype(int) - np.asarray(smooth)).mean() < 3


@pytest.mark.parametrize("size", [(48, 48), (75, 40), (40, 75), (33, 256), (32, 32), (20, 31)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_the_recipe_equals_torchvisions_to_the_bit(
    size: tuple[int, int], interpolation: str
) -> None:
    """Reference: torchvision 0.28 `Resize(antialias) → CenterCrop` on PIL images; tolerance 0."""
    from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

    import_with_shim("torchvision")
    from torchvision.transforms import CenterCrop, InterpolationMode, Resize

    photo = Image.fromarray(np.random.default_rng(3).integers(0, 256, (*size, 3)).astype(np.uint8))
    spec = PreprocessSpec(32, 28, interpolation, (0,) * 3, (1,) * 3)
    resized = Resize(32, InterpolationMode(interpolation))(photo)
    expected = np.asarray(CenterCrop(28)(resized))
    np.testing.assert_array_equal(fit_to_recipe(photo, spec), expected)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_arrays_of_another_kind_are_bad_and_say_what_would_do(pixels: np.ndarray) -> None:
    with pytest.raises(BadItem, match=r"uint8 \(height, width"):
        prepare_image(pixels, SPEC)


def test_an_array_and_its_png_are_the_same_image() -> None:
    expected = prepare_image(encoded(PHOTO, "PNG"), SPEC)[0]
    np.testing.assert_array_equal(prepare_image(PHOTO, SPEC)[0], expected)


def test_an_array_of_grey_is_the_photo_of_three_equal_channels() -> None:
    grey = PHOTO[..., 0]
    found, expected = (prepare_image(each, SPEC)[0] for each in (grey, np.dstack([grey] * 3)))
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(BadItem, match="images are uint8"):
        prepare_image(grey[0], SPEC)
