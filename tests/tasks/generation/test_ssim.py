"""SSIM against scikit-image's values, by hand, and its properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bench.tasks.generation.ssim import C1, C2, ssim


def images(seed: int, count: int = 3, channels: int = 1, size: int = 20) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(count, channels, size, size)), (0, 0, 1, 1))
    return torch.from_numpy(np.clip(128 + 200 * smooth, 0, 255).astype(np.uint8))


def test_it_is_scikit_images() -> None:
    """0.26.0: ``structural_similarity(..., channel_axis=0, gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=255)``."""
    rng = np.random.RandomState(0)
    a = rng.randint(0, 256, (2, 3, 16, 20)).astype(np.uint8)
    b = np.clip(a.astype(int) // 2 + rng.randint(0, 128, a.shape), 0, 255).astype(np.uint8)
    found = ssim(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(found, [0.646499377960552, 0.712685358962644], rtol=1e-12)


def test_it_is_the_formula_under_scipys_window() -> None:
    a, b = images(0), images(1)

    def windowed(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(gaussian_filter(x, (0, 0, 1.5, 1.5), truncate=3.5)[:, :, 5:-5, 5:-5])

    x, y = a.double().numpy(), b.double().numpy()
    m, n = windowed(x), windowed(y)
    s, t, st = windowed(x * x) - m * m, windowed(y * y) - n * n, windowed(x * y) - m * n
    expected = (2 * m * n + C1) * (2 * st + C2) / ((m * m + n * n + C1) * (s + t + C2))
    np.testing.assert_allclose(ssim(a, b), expected.mean((1, 2, 3)), rtol=1e-9)


def test_equal_images_have_one_and_it_is_symmetric() -> None:
    a, b = images(2), images(3)
    np.testing.assert_allclose(ssim(a, a), 1)
    np.testing.assert_allclose(ssim(a, b), ssim(b, a))
    assert (ssim(a, b) < 0.6).all()


def test_of_plain_images_it_is_that_of_their_brightness() -> None:
    a, b = (torch.full((1, 3, 11, 11), value, dtype=torch.uint8) for value in (100, 150))
    assert ssim(a, b) == pytest.approx((2 * 100 * 150 + C1) / (100**2 + 150**2 + C1))


def test_other_images_are_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        ssim(images(0), images(0).float())
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(images(0, size=10), images(0, size=10))
    with pytest.raises(ValueError, match="pairs"):
        ssim(images(0), images(0)[:2])
