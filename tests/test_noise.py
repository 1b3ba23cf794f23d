"""Noise: known answers, moments, independence, and the same numbers everywhere."""

import itertools

import numpy as np
import pytest
from scipy import stats

from neurosim import noise

# Random123's kat_vectors: counter, key, output.
KNOWN = [
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
DRAWS = {"normal": noise.normal, "rademacher": noise.rademacher, "uniform": noise.uniform}
MANY = 40_000


def fill(out, at, rows, n, c, stop, batch, scale, name, key, first, plane=256):
    """Draw with the compiled kernel that the cpu engine uses."""
    from neurosim.engines.kernels import _machine

    words, drawn = np.zeros(7 * plane, dtype=np.uint32), np.zeros(4 * plane, dtype=np.float32)
    call = _machine({"normal": "fill_normal", "rademacher": "fill_signs"}[name]).ctypes
    given = (out, at, rows, n, c, stop, batch, scale, words, drawn, plane, *key, first)
    kinds = zip(given, call.argtypes, strict=True)
    call(*(x.ctypes.data_as(kind) if isinstance(x, np.ndarray) else x for x, kind in kinds))


def compiled_fill(name, n, seed, stream, step, pass_, replica, first=0):
    """Draw for one replica in one pass, as many numbers at once as the kernel takes."""
    out, batch, most = np.zeros(n + 3, dtype=np.float32), replica + 1, 4 * 256
    c = pass_ * batch + replica
    for i in range(0, n, most):
        count, key = min(most, n - i), (seed, stream, step)
        fill(out, i, 0, count, c, c + 1, batch, 1.0, name, key, first + i)
    return out[:n]


@pytest.fixture(scope="module")
def samples():
    """Many draws of each distribution; normals and signs by the compiled loop."""
    drawn = {name: compiled_fill(name, MANY, 5, 6, 7, 1, 2) for name in ("normal", "rademacher")}
    drawn["uniform"] = np.array([noise.uniform(5, 6, 7, 1, 2, i) for i in range(MANY)])
    return {name: values.astype(float) for name, values in drawn.items()}


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_gives_the_known_answers(counter, key, words):
    assert noise.philox(*counter, *key) == words


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_compiled_philox_gives_the_known_answers(counter, key, words):
    from numba import njit

    from neurosim.engines.compile import compiled

    philox = compiled(noise.philox, exact=True)

    @njit
    def call(c0, c1, c2, c3, k0, k1):
        return philox(c0, c1, c2, c3, k0, k1)

    assert call(*counter, *key) == words


@pytest.mark.parametrize("name", ["normal", "rademacher"])
@pytest.mark.parametrize("n", [1, 5, 130, 300])
@pytest.mark.parametrize("first", [0, 256])
def test_compiled_loops_draw_the_same_numbers_bit_for_bit(name, n, first):
    key = (2**32 - 1, 3 << 16, 2**31 + 5, 2, 9)
    got = compiled_fill(name, n, *key, first=first)
    expected = [DRAWS[name](*key, first + i) for i in range(n)]
    np.testing.assert_array_equal(got, np.array(expected, dtype=np.float32))


@pytest.mark.parametrize("name", ["normal", "rademacher"])
@pytest.mark.parametrize("n", [1, 6, 60, 64])
@pytest.mark.parametrize("plane", [16, 256])
def test_each_replica_of_each_pass_gets_its_own_numbers_bit_for_bit(name, n, plane):
    """However many rows are drawn at once: as many as fit into a plane of blocks."""
    seed, stream, step, first, scale, batch = 5, 1 << 16, 7, 8, np.float32(0.3), 3
    out = np.full((9, 67), 9, dtype=np.float32)
    fill(out, 2, 67, n, 2, 8, batch, scale, name, (seed, stream, step), first, plane)
    for row in range(2, 8):
        key = (seed, stream, step, row // batch, row % batch)
        expected = [scale * DRAWS[name](*key, first + i) for i in range(n)]
        np.testing.assert_array_equal(out[row, 2 : 2 + n], np.array(expected, dtype=np.float32))
    assert (out[:2] == 9).all()
    assert (out[8] == 9).all()
    assert (out[:, :2] == 9).all()
    assert (out[:, 2 + -(-n // 4) * 4 :] == 9).all()


MOMENTS = {
    "normal": (0.0, 1.0, 0.0, 3.0, "norm"),
    "rademacher": (0.0, 1.0, 0.0, 1.0, None),
    "uniform": (0.5, 1 / 12, 0.0, 1.8, "uniform"),
}


@pytest.mark.parametrize("name", DRAWS)
def test_moments(samples, name):
    values = samples[name]
    mean, variance, skew, kurtosis, law = MOMENTS[name]
    assert values.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / MANY))
    spread = variance * np.sqrt((kurtosis - 1) / MANY)
    assert values.var() == pytest.approx(variance, abs=4 * spread + 1e-3 * (kurtosis == 1))
    assert stats.skew(values) == pytest.approx(skew, abs=4 * np.sqrt(6 / MANY))
    assert stats.kurtosis(values, fisher=False) == pytest.approx(
        kurtosis, abs=4 * np.sqrt(24 / MANY)
    )
    if law is not None:
        assert stats.kstest(values, law).pvalue > 1e-3


def test_signs_are_signs(samples):
    assert set(samples["rademacher"]) == {-1.0, 1.0}


def test_uniforms_never_reach_zero():
    assert noise.unit(0) > 0
    assert noise.unit(2**32 - 1) <= 1


def test_normals_have_tails_but_no_infinities():
    extremes = [noise.normal_pair(word, 0)[0] for word in (0, 1, 2**32 - 1)]
    assert np.isfinite(extremes).all()
    assert extremes[0] > 6


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 128])
@pytest.mark.parametrize("name", ["normal", "rademacher"])
def test_draws_are_uncorrelated_along_the_index(samples, name, lag):
    values = samples[name]
    assert abs(np.mean(values[lag:] * values[:-lag])) < 4 / np.sqrt(MANY)


COORDINATES = ["seed", "stream", "step", "pass_", "replica"]


@pytest.mark.parametrize("name", ["normal", "rademacher"])
@pytest.mark.parametrize("coordinate", COORDINATES)
def test_draws_that_differ_in_one_coordinate_are_independent(name, coordinate):
    key = dict(zip(COORDINATES, (1, 2, 3, 4, 5), strict=True))
    here = compiled_fill(name, MANY, **key)
    there = compiled_fill(name, MANY, **{**key, coordinate: key[coordinate] + 1})
    assert abs(np.mean(here.astype(float) * there)) < 4 / np.sqrt(MANY)


def test_no_two_counters_share_a_draw():
    key = range(3)
    found = [noise.words(*counter) for counter in itertools.product(key, repeat=6)]
    assert len(set(found)) == 3**6


@pytest.mark.parametrize("word", [0, 1, 2**29 - 1, 2**29, 2**30, 2**31 - 7, 3 * 2**30, 2**32 - 1])
def test_sine_and_cosine(word):
    angle = 2 * np.pi * word / 2**32
    np.testing.assert_allclose(noise.sine_cosine(word), (np.sin(angle), np.cos(angle)), atol=3e-7)


@pytest.mark.parametrize("u", [1.2e-10, 1e-5, 0.3, 0.5, 0.70711, 0.9999, 1.0])
def test_logarithm(u):
    u = np.float32(u)
    assert noise.logarithm(u) == pytest.approx(np.log(float(u)), rel=3e-7, abs=1e-9)


def test_scalars_stay_float32():
    for draw in DRAWS.values():
        assert type(draw(1, 2, 3, 4, 5, 6)) is np.float32


def test_rows_of_weights_start_at_whole_blocks():
    for n_pre in (1, 100, 128, 129, 1000):
        starts = [noise.weight_index(i, 0, n_pre) for i in range(4)]
        assert all(start % 128 == 0 for start in starts)
        assert np.diff(starts).min() >= n_pre
