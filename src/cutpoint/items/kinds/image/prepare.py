"""Image payload → RGB uint8 array, by the recipe the weights were trained with.

Rules, all part of `PreprocessSpec.recipe` 1:

- The format is known by content, never by name; only the formats in `FORMATS` are opened.
- A file that breaks off is bad; it is never filled up with grey.
- EXIF orientation is applied. Unreadable EXIF and ICC blobs are ignored.
- Of several frames or pages, the first is taken.
- 16-bit grey is divided by 257. 32-bit integers are divided by ``max(65535, largest) / 255``.
  Floats in 0–1 are multiplied by 255, in 0–255 kept, all others stretched from their minimum and
  maximum to 0–255.
- Transparent pixels are composited on `PreprocessSpec.background`.
- Resized and cropped by `cutpoint.items.kinds.image.resize`.
- With `PreprocessSpec.decode` "scaled", JPEG files that are large enough are decoded smaller:
  `cutpoint.items.kinds.image.scaled`. All else, and images in memory, stay as they are.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError, features

from cutpoint.base.errors import BadItem, UsageError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.stopwatch import lap
from cutpoint.base.types import UInt8
from cutpoint.items.kinds.image.resize import LARGE_PIXELS, MAX_PIXELS, fit_to_recipe, resized_size
from cutpoint.items.kinds.image.room import DECODING
from cutpoint.items.kinds.image.scaled import is_scaled, load_scaled
from cutpoint.items.kinds.image.views import fit_to_view

Payload = bytes | Image.Image | UInt8
MAX_PIXELS_A_BYTE = 64
"""In a file with more than `LARGE_PIXELS`. Photos have 1 to 10, a smooth one kept small 40; a PNG
of one colour has 340 to 8000, and costs whoever sends it nothing. Scans in black and white, up to
A4 at 600 dots an inch, are smaller."""
_BAND_PIXELS = (
    4_000_000  # converted at a time: what lies in between takes 16 bytes a pixel and more
)
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
_REFUSED = {
    b"%!PS": "EPS",
    b"\xc5\xd0\xd3\xc6": "EPS",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "SVG or XML",
    b"SIMPLE  =": "FITS",
}
_SUFFIXES = {
    "JPEG": {"jpg", "jpeg", "jpe", "jfif"},
    "MPO": {"jpg", "jpeg", "mpo"},
    "TIFF": {"tif", "tiff"},
    "PPM": {"ppm", "pgm", "pbm", "pnm"},
    "HEIF": {"heic", "heif"},
}


def prepare_image(
    payload: Payload, spec: PreprocessSpec, name: str = ""
) -> tuple[UInt8, tuple[str, ...]]:
    """Return one item as the backbone expects it, and notes on what was unusual about it.

    Parameters
    ----------
    payload : bytes of an image file, PIL image, or uint8 array (height, width[, 3 or 4])
        Arrays are RGB, 0–255.
    spec : PreprocessSpec
    name : str
        File name, only compared with what the content says.

    Returns
    -------
    image : uint8 array of shape (crop_px, crop_px, 3), RGB
    notes : tuple of str

    Raises
    ------
    BadItem
        If the payload can't be decoded whole and safely.
    """
    opened = _opened(payload)
    with DECODING.taken(_pixels_held(opened, spec)):
        image, notes = _decoded(opened, payload, spec, name)
        lap("decode")
        pixels = fit_to_view(image, spec, payload) if spec.view else fit_to_recipe(image, spec)
        lap("preprocess")
    return pixels, notes


def prepare_item(
    payload: Payload, spec: PreprocessSpec, name: str = ""
) -> tuple[dict[str, UInt8], tuple[str, ...]]:
    """Return `prepare_image`'s array under the name of the one input."""
    pixels, notes = prepare_image(payload, spec, name)
    return {"image": pixels}, notes


def decoding(spec: PreprocessSpec, decode: str) -> PreprocessSpec:
    """Return `spec` with files decoded so."""
    return replace(spec, decode=decode)


def decode_image(
    payload: Payload, spec: PreprocessSpec, name: str = ""
) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the upright image, RGB or grey ("L"), and notes on what was unusual about it.

    It may be the very image that was given, so it must not be changed.
    """
    return _decoded(_opened(payload), payload, spec, name)


def _pixels_held(image: Image.Image, spec: PreprocessSpec) -> int:
    """Return the pixels an image has, decoded and resized."""
    width, height = resized_size(*image.size, spec)
    return image.width * image.height + width * height


def _opened(payload: Payload) -> Image.Image:
    """Return an image whose size is known and whose pixels are not decoded yet, if it is a file."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UsageError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on, so broken files would come out half grey.",
            "cutpoint finds broken files only while it is off.",
            "Off, as Pillow has it.",
            "Type:  PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False",
        )
    if isinstance(payload, np.ndarray):
        return _from_array(payload)
    if isinstance(payload, Image.Image):
        return payload
    try:
        return _open(payload)
    except BadItem:
        raise
    except Exception as error:  # broken files provoke whatever their decoder did not foresee
        raise BadItem(f"can't be decoded whole: {_one_line(error)}") from error


def _decoded(
    image: Image.Image, payload: Payload, spec: PreprocessSpec, name: str
) -> tuple[Image.Image, tuple[str, ...]]:
    if isinstance(payload, np.ndarray):
        return _to_rgb(image, spec), ()
    try:
        notes = _notes(image, name)
        if image is not payload and is_scaled(image, spec):
            image = load_scaled(image, spec)
        image.load()
        return _to_rgb(_upright(image), spec), notes
    except BadItem:
        raise
    except Exception as error:  # broken files provoke whatever their decoder did not foresee
        raise BadItem(f"can't be decoded whole: {_one_line(error)}") from error


def decodes_smaller(payload: Payload, spec: PreprocessSpec) -> bool:
    """Return whether scaled decoding changes this payload; read off its header."""
    try:
        return isinstance(payload, bytes) and is_scaled(_open(payload), spec)
    except BadItem:
        return False


def _open(data: bytes) -> Image.Image:
    if not data:
        raise BadItem("empty file (0 bytes)")
    allowed = [*FORMATS, *_optional_formats()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on broken EXIF and on large files
            image = Image.open(io.BytesIO(data), formats=allowed)
    except UnidentifiedImageError as error:
        raise BadItem(_why_unknown(data)) from error
    except Image.DecompressionBombError as error:
        raise BadItem(f"more than {MAX_PIXELS} pixels declared; not decoded") from error
    n_pixels = image.width * image.height
    if n_pixels > MAX_PIXELS:
        raise BadItem(f"more than {MAX_PIXELS} pixels declared; not decoded")
    if n_pixels > LARGE_PIXELS and n_pixels > MAX_PIXELS_A_BYTE * len(data):
        size = f"{image.width}×{image.height} px"
        raise BadItem(f"{size} declared in {len(data)} bytes, as no photo has; not decoded")
    return image


def _optional_formats() -> list[str]:
    formats = ["AVIF"] if features.check("avif") else []
    try:
        import pillow_heif
    except ImportError:
        return formats
    if "HEIF" not in Image.OPEN:
        pillow_heif.register_heif_opener()
    return [*formats, "HEIF"]


def _why_unknown(data: bytes) -> str:
    start = data[:64].lstrip()
    for magic, kind in _REFUSED.items():
        if start.startswith(magic):
            return f"{kind} is not a photo format cutpoint opens"
    if data[4:8] == b"ftyp":
        return 'HEIC/AVIF needs a plug-in: pip install "cutpoint-ml[heif]"'
    return "not an image in a format cutpoint opens (told by content)"


def _notes(image: Image.Image, name: str) -> tuple[str, ...]:
    notes = []
    suffix = PurePath(name).suffix.lower().lstrip(".")
    kind = image.format or ""
    if suffix and suffix not in _SUFFIXES.get(kind, {kind.lower()}):
        notes.append(f"{kind} file named .{suffix}: decoded by content")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and kind != "MPO":  # MPO: a JPEG with a preview or a second eye behind it
        notes.append(f"first of {frames} frames taken")
    return tuple(notes)


def _upright(image: Image.Image) -> Image.Image:
    try:
        # Asked first, as exif_transpose copies what it does not turn.
        is_upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        return image if is_upright else ImageOps.exif_transpose(image)
    except Exception:  # whatever a broken EXIF blob provokes, the pixels are sound
        return image


def _to_rgb(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_8_bit(np.asarray(image)))
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        return _in_bands(image, lambda band: _composited(band, spec))
    return _in_bands(image, lambda band: band.convert("RGB"))


def _in_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return an image converted, pixel by pixel, a band of rows at a time."""
    n_rows = max(1, _BAND_PIXELS // image.width)
    if image.height <= n_rows:
        return convert(image)
    out = Image.new("RGB", image.size)
    for top in range(0, image.height, n_rows):
        band = image.crop((0, top, image.width, min(top + n_rows, image.height)))
        out.paste(convert(band), (0, top))
    return out


def _composited(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (*spec.background, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _to_8_bit(pixels: Any) -> UInt8:
    """Return grey of 16 or 32 bits in 8, by the rules above; a band of rows at a time."""
    n_rows = max(1, _BAND_PIXELS // pixels.shape[1])
    starts = range(0, len(pixels), n_rows)
    if not all(np.isfinite(pixels[start : start + n_rows]).all() for start in starts):
        raise BadItem("pixels that are NaN or infinite")
    low, high = float(pixels.min()), float(pixels.max())
    out = np.empty(pixels.shape, np.uint8)
    for start in starts:
        rows = slice(start, start + n_rows)
        out[rows] = _rows_to_8_bit(pixels[rows], low, high)
    return out


def _rows_to_8_bit(pixels: Any, low: float, high: float) -> UInt8:
    values = pixels.astype(np.float64)
    if pixels.dtype.kind == "f":
        if low >= 0 and high <= 1:
            values = values * 255
        elif not (low >= 0 and high <= 255):
            values = (values - low) * (255 / (high - low)) if high > low else values * 0
    else:
        values = np.maximum(values, 0) * (255 / max(65535.0, high))
    rounded: UInt8 = np.rint(values).astype(np.uint8)
    return rounded


def _from_array(pixels: UInt8) -> Image.Image:
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not is_image or 0 in pixels.shape:
        raise BadItem(
            f"array of {pixels.dtype} {pixels.shape}; "
            "images are uint8 (height, width[, 3 or 4]), RGB 0–255"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
