"""One picture as 8 bit: known answers for every kind of pixel, and refusals of what has no scale."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from bench.base.errors import UserError
from bench.workloads import pixels
from bench.workloads.images import read_folder
from bench.workloads.pixels import DARK, DEEP, LAID, SEVERAL, TURNED, Picture, read_picture
from tests.helpers.png import COLOUR, COLOUR_ALPHA, GREY, GREY_ALPHA, PALETTE, png

UPRIGHT = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40


def read(path: Path, channels: int = 1) -> NDArray[np.uint8]:
    return np.asarray(picture(path, channels).image)


def picture(path: Path, channels: int = 1) -> Picture:
    return read_picture(path, channels, "here")


def saved(tmp_path: Path, image: Image.Image, name: str = "x.png", **said: object) -> Path:
    image.save(tmp_path / name, **said)
    return tmp_path / name


def sixteen(*values: int) -> bytes:
    return np.array(values, ">u2").tobytes()


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.pgm"])
def test_sixteen_bit_grey_is_scaled_and_no_value_is_cut_off(tmp_path: Path, name: str) -> None:
    every = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    path = saved(tmp_path, Image.fromarray(every), name)
    found = read(path).astype(int)
    assert np.array_equal(found, np.rint(every / 257))
    assert [int(found.flat[v]) for v in (0, 128, 129, 65_535, *(257 * k for k in range(256)))] == [
        0, 0, 1, 255, *range(256)
    ]  # fmt: skip
    assert picture(path).done == {DEEP}
    assert np.array_equal(read(path, 3), np.repeat(found[..., None], 3, axis=2))


def test_big_endian_and_compressed_tiffs_are_the_same_picture(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65_535, 25_700]], np.uint16)
    big = Image.fromarray(values.astype(">u2"))
    for i, path in enumerate([
        saved(tmp_path, big, "a.tif"),
        saved(tmp_path, Image.fromarray(values), "b.tif", compression="tiff_lzw"),
        saved(tmp_path, Image.fromarray(values), "c.tif", compression="tiff_adobe_deflate"),
    ]):  # fmt: skip
        assert read(path).tolist() == [[0, 1, 255, 100]], i


def test_a_tiff_whose_white_is_zero_is_no_negative(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65_535]], np.uint16)
    assert read(saved(tmp_path, Image.fromarray(values), "x.tif", tiffinfo={262: 0})).tolist() == [[255, 254, 0]]


def test_sixteen_bit_colour_and_alpha_keep_black_and_white(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png(2, 1, 16, COLOUR, [sixteen(0, 257 * 7, 65_535, 257 * 100, 0, 0)]))
    assert read(path, 3).tolist() == [[[0, 7, 255], [100, 0, 0]]]
    path.write_bytes(png(2, 1, 16, GREY_ALPHA, [sixteen(257 * 9, 65_535, 0, 0)]))
    assert read(path).tolist() == [[9, 255]]
    path.write_bytes(png(1, 1, 16, COLOUR_ALPHA, [sixteen(0, 257, 65_535, 65_535)]))
    assert read(path, 3).tolist() == [[[0, 1, 255]]]


def test_the_transparent_value_of_a_sixteen_bit_picture_is_laid_on_white(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(png(2, 1, 16, GREY, [sixteen(257 * 3, 257 * 200)], (b"tRNS", sixteen(257 * 3))))
    assert read(path).tolist() == [[255, 200]]
    assert picture(path).done == {DEEP, LAID}


def test_pictures_that_use_a_small_part_of_their_bits_are_said(tmp_path: Path) -> None:
    """12 bits in 16, and masks of 0 and 1: read as they are, and nearly black."""
    for name, values in (("a", np.full((2, 2), 4_095, np.uint16)), ("b", np.ones((2, 2), np.uint8))):
        (tmp_path / name).mkdir()
        path = saved(tmp_path / name, Image.fromarray(values))
        assert DARK in picture(path).done
        (note,) = read_folder(tmp_path / name, (1, 2, 2), resize=False, here="here").notes
        assert "all are nearly black, below an eighth of white" in note
    saved(tmp_path / "b", Image.fromarray(np.full((2, 2), 200, np.uint8)), "y.png")
    assert read_folder(tmp_path / "b", (1, 2, 2), resize=False, here="here").notes == ()
    assert picture(saved(tmp_path, Image.fromarray(np.full((2, 2), 9_000, np.uint16)))).done == {DEEP}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0, 0.25, 1]], np.float32), r"x\.tif: floating-point values \(from 0 to 1\)"),
        (np.array([[np.nan, np.nan]], np.float32), r"x\.tif: floating-point values \(from nan"),
        (np.array([[0, 70_000]], np.int32), r"x\.tif: signed integers \(from 0 to 70000\)"),
        (np.array([[0, 200]], np.int32), r"x\.tif: .*which is black and which is white\. Scale it.*PNG"),
    ],
)
def test_numbers_without_a_scale_are_refused_by_name(tmp_path: Path, values: NDArray[np.generic], message: str) -> None:
    path = saved(tmp_path, Image.fromarray(values), "x.tif")
    with pytest.raises(UserError, match=message):
        read(path)


def test_one_bit_and_palettes_and_inks(tmp_path: Path) -> None:
    bits = Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1")
    for name in ("x.png", "x.tif", "x.bmp"):
        assert read(saved(tmp_path, bits, name)).tolist() == [[0, 255, 255]]
    colours = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)
    palette = Image.fromarray(colours).quantize(4)
    assert palette.mode == "P"
    assert read(saved(tmp_path, palette), 3).tolist() == colours.tolist()
    amounts = [[0, 0, 0], [0, 0, 255], [0, 0, 255], [0, 255, 0]]
    inks = Image.merge("CMYK", [Image.fromarray(np.array([amount], np.uint8)) for amount in amounts])
    path = saved(tmp_path, inks, "x.tif")
    assert read(path, 3).tolist() == [[[255, 255, 255], [0, 0, 0], [255, 0, 0]]]
    assert read(path).tolist() == [[255, 0, 76]]


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_transparent_is_laid_on_white_and_said(tmp_path: Path, mode: str) -> None:
    grey, alpha = [0, 0, 0, 200], [255, 0, 128, 255]
    bands = [np.array([grey], np.uint8)] * (len(mode) - 1) + [np.array([alpha], np.uint8)]
    path = saved(tmp_path, Image.merge(mode, [Image.fromarray(band) for band in bands]))
    assert read(path).tolist() == [[0, 255, 127, 200]]
    assert read(path, 3)[0, :, 1].tolist() == [0, 255, 127, 200]
    assert picture(path).done == {LAID}
    assert read(path, 4)[0, :, 3].tolist() == alpha  # who wants alpha is given it as it is
    assert picture(path, 4).done == frozenset()


def test_an_alpha_through_which_nothing_is_seen_is_no_matter(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(UPRIGHT).convert("RGBA"))
    assert np.array_equal(read(path), UPRIGHT)
    assert picture(path).done == frozenset()


def test_transparent_colours_of_a_palette_and_of_a_colour(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    colours = (b"PLTE", bytes([10, 10, 10, 20, 20, 20]))
    path.write_bytes(png(2, 1, 8, PALETTE, [bytes([0, 1])], colours, (b"tRNS", bytes([0, 255]))))
    assert read(path).tolist() == [[255, 20]]
    assert picture(path, 3).done == {LAID}
    path.write_bytes(png(2, 1, 8, COLOUR, [bytes([1, 2, 3, 4, 5, 6])], (b"tRNS", bytes([0, 1, 0, 2, 0, 3]))))
    assert read(path, 3).tolist() == [[[255, 255, 255], [4, 5, 6]]]
    path.write_bytes(png(2, 1, 8, GREY, [bytes([1, 2])], (b"tRNS", bytes([0, 1]))))
    assert read(path).tolist() == [[255, 2]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp"])
def test_the_orientation_is_carried_out(tmp_path: Path, orientation: int, name: str) -> None:
    """As cameras define it: where row 0 and column 0 of what is stored belong."""
    turned = {
        1: UPRIGHT,
        2: UPRIGHT[:, ::-1],
        3: UPRIGHT[::-1, ::-1],
        4: UPRIGHT[::-1],
        5: UPRIGHT.T,
        6: UPRIGHT.T[::-1],
        7: UPRIGHT.T[::-1, ::-1],
        8: UPRIGHT.T[:, ::-1],
    }[orientation]  # stored so that the orientation makes it UPRIGHT
    exif = Image.Exif()
    exif[274] = orientation
    said = {"x.webp": {"lossless": True}, "x.tif": {"compression": "tiff_lzw"}}.get(name, {})
    path = saved(tmp_path, Image.fromarray(np.ascontiguousarray(turned)), name, exif=exif, **said)
    assert np.array_equal(read(path), UPRIGHT)
    assert picture(path).done == ({TURNED} if orientation > 1 else frozenset())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_an_uncompressed_tiff_is_carried_out_or_refused(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path, Image.fromarray(UPRIGHT), "x.tif", exif=exif)
    if orientation < 5:
        assert set(read(path)[0, [0, -1]].tolist()) <= {0, 80, 120, 200}
        return
    with pytest.raises(UserError, match=rf"x\.tif: an uncompressed TIFF .*orientation {orientation}.*Save it upright"):
        read(path)


def test_of_several_pictures_in_a_file_the_first_is_read_and_said(tmp_path: Path) -> None:
    one, two = Image.new("L", (2, 2), 77), Image.new("L", (2, 2), 200)
    for name in ("x.tif", "x.png"):
        path = saved(tmp_path, one, name, save_all=True, append_images=[two])
        assert read(path).tolist() == [[77, 77], [77, 77]]
        assert picture(path).done == {SEVERAL}


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(60_000, 60_000, 8, GREY, [bytes(60)]))
    with pytest.raises(UserError, match=r"bomb\.png: .*at most 100,000,000 pixels"):
        read(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # somebody's code may have switched Pillow's guard off
    with pytest.raises(UserError, match=r"bomb\.png: 60,000 x 60,000.*at most 100,000,000 pixels"):
        read(path)
    monkeypatch.setattr(pixels, "MOST_PIXELS", 5)
    with pytest.raises(UserError, match=r"2 x 3 \(height x width\); at most 5 pixels"):
        read(saved(tmp_path, Image.fromarray(UPRIGHT)))


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"x\.png is a pipe; expected an image file"):
        read(tmp_path / "x.png")


def test_programs_are_not_opened_whatever_the_ending(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(UserError, match=r"x\.png cannot be read as an image: it is none of PNG, .*Save it as PNG"):
        read(tmp_path / "x.png")


@given(value=st.integers(0, 65_535), other=st.integers(0, 65_535))
def test_scaling_keeps_order_and_ends(value: int, other: int) -> None:
    image = Image.fromarray(np.array([[value, other, 0, 65_535]], np.uint16))
    found, _ = pixels.eight_bit(image, "here")
    low, high, black, white = (int(v) for v in np.asarray(found)[0])
    assert (black, white) == (0, 255)
    assert (low <= high) or value > other
    assert abs(low - value / 257) <= 0.5
