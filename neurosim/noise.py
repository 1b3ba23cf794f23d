"""Counter-based noise: the same numbers on every engine, in any order, on any thread.

Philox4x32-10 [1]_ turns a counter (index block, replica, pass, step) and a key
(seed, stream) into four 32-bit words. Nothing is stored and nothing is advanced:
whoever needs a draw asks for it by name, twice if need be. Every use of noise has
a stream of its own, so that switching one on never shifts another's draws.

The functions are scalar and run as they are in Python and in compiled loops.
Integers never leave 64 bits; real numbers are float32 throughout, with no literal
that would widen them, and must be compiled without fused or reordered arithmetic.

References
----------
.. [1] Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as
   1, 2, 3, SC11.
"""

import math

from numpy import float32, int32

WORD = 0xFFFFFFFF
MULTIPLIER_0, MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85

# Streams: the use in the high bits, the place (population or matrix) in the low ones.
(
    PERTURBATION,
    WEIGHT_PERTURBATION,
    ACT_NOISE,
    TELEGRAPH,
    TELEGRAPH_START,
    FLICKER,
    ACT_READ,
    FIRED_READ,
    SENT_READ,
    MISMATCH_GAIN,
    MISMATCH_OFFSET,
    MISMATCH_TAU,
    W_READ,
    W_READ_RELATIVE,
    PULSES,
    C2C,
    D2D,
    W_WRITE,
    ROUNDING,
    STUCK,
    DRIFT,
    DIFFUSION,
    EVENT_LOSS,
    EVENT_JITTER,
    REWARD_NOISE,
    REWARD_LOSS,
) = (use << 16 for use in range(1, 27))
# Whose places are matrices; those of all others are populations.
OF_MATRICES = (
    WEIGHT_PERTURBATION,
    *(W_READ, W_READ_RELATIVE, PULSES, C2C, D2D, W_WRITE, ROUNDING, STUCK, DRIFT, DIFFUSION),
    *(EVENT_LOSS, EVENT_JITTER),
)
# Drawn once, from the chip's own seed.
FROZEN = (MISMATCH_GAIN, MISMATCH_OFFSET, MISMATCH_TAU, D2D, STUCK, DRIFT)
# Added to a stream that is drawn from while the network is only looked at.
EVALUATION = 1 << 31

NORMAL = 0
RADEMACHER = 1
DISTRIBUTIONS = {"normal": NORMAL, "rademacher": RADEMACHER}

_HALF = float32(0.5)
_ONE = float32(1.0)
_TWO = float32(2.0)
_WORD_TO_UNIT = float32(2.0**-32)
_WORD_TO_ANGLE = float32(2.0 * math.pi * 2.0**-32)
_LN2_HIGH = float32(0.693359375)
_LN2_LOW = float32(-2.12194440e-4)
_L0, _L1, _L2 = float32(3.3333331174e-1), float32(-2.4999993993e-1), float32(2.0000714765e-1)
_L3, _L4, _L5 = float32(-1.6668057665e-1), float32(1.4249322787e-1), float32(-1.2420140846e-1)
_L6, _L7, _L8 = float32(1.1676998740e-1), float32(-1.1514610310e-1), float32(7.0376836292e-2)
_S0, _S1, _S2 = float32(-1.6666654611e-1), float32(8.3321608736e-3), float32(-1.9515295891e-4)
_C0, _C1, _C2 = float32(4.1666645683e-2), float32(-1.3887316255e-3), float32(2.4433157118e-5)


def mix(c0, c1, c2, c3, k0, k1):
    """One round of Philox."""
    left = MULTIPLIER_0 * c0
    right = MULTIPLIER_1 * c2
    return (
        ((right >> 32) & WORD) ^ c1 ^ k0,
        right & WORD,
        ((left >> 32) & WORD) ^ c3 ^ k1,
        left & WORD,
    )


def philox(c0, c1, c2, c3, k0, k1):
    """Four random words from a counter of four words and a key of two."""
    # Ten rounds written out: compilers vectorise over counters only without an inner loop.
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, k0, k1)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 1 * WEYL_0) & WORD, (k1 + 1 * WEYL_1) & WORD)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 2 * WEYL_0) & WORD, (k1 + 2 * WEYL_1) & WORD)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 3 * WEYL_0) & WORD, (k1 + 3 * WEYL_1) & WORD)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 4 * WEYL_0) & WORD, (k1 + 4 * WEYL_1) & WORD)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 5 * WEYL_0) & WORD, (k1 + 5 * WEYL_1) & WORD)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 6 * WEYL_0) & WORD, (k1 + 6 * WEYL_1) & WORD)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 7 * WEYL_0) & WORD, (k1 + 7 * WEYL_1) & WORD)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 8 * WEYL_0) & WORD, (k1 + 8 * WEYL_1) & WORD)
    c0, c1, c2, c3 = mix(c0, c1, c2, c3, (k0 + 9 * WEYL_0) & WORD, (k1 + 9 * WEYL_1) & WORD)
    return c0, c1, c2, c3


def words(seed, stream, step, pass_, replica, block):
    """Four words of the counter (step, pass, replica, block) under the key (seed, stream)."""
    # The masks change nothing, but tell a compiler that products fit in 64 bits.
    return philox(
        block & WORD, replica & WORD, pass_ & WORD, step & WORD, seed & WORD, stream & WORD
    )


def unit(word):
    """A uniform number in (0, 1], in steps of 2**-32 near 0 and 2**-24 near 1."""
    return (float32(word) + _HALF) * _WORD_TO_UNIT


def logarithm(u):
    """Natural logarithm of a uniform number (Cephes' polynomial)."""
    bits = float32(u).view(int32)
    exponent = int32((bits - int32(0x3F3504F3)) >> int32(23))
    z = int32(bits - int32(exponent << int32(23))).view(float32) - _ONE
    p = _L8
    p = p * z + _L7
    p = p * z + _L6
    p = p * z + _L5
    p = p * z + _L4
    p = p * z + _L3
    p = p * z + _L2
    p = p * z + _L1
    p = p * z + _L0
    e = float32(exponent)
    square = z * z
    return (p * z * square + e * _LN2_LOW - _HALF * square) + z + e * _LN2_HIGH


def sine_cosine(word):
    """Sine and cosine of the angle ``2 pi word / 2**32``, the quadrant taken off exactly."""
    # Turned by an eighth, a word has its nearest quadrant in the highest two bits and the
    # angle from there in the rest. All of it fits into 32 bits, and so do its vectors.
    turned = (word + 0x20000000) & WORD
    t = float32(int32((turned & 0x3FFFFFFF) - 0x20000000)) * _WORD_TO_ANGLE
    t2 = t * t
    s = ((_S2 * t2 + _S1) * t2 + _S0) * t2 * t + t
    c = ((_C2 * t2 + _C1) * t2 + _C0) * t2 * t2 - _HALF * t2 + _ONE
    odd = (turned & 0x40000000) != 0
    sine = c if odd else s
    cosine = s if odd else c
    sine = -sine if (turned & 0x80000000) != 0 else sine
    cosine = -cosine if ((turned + 0x40000000) & 0x80000000) != 0 else cosine
    return sine, cosine


def normal_pair(word, other):
    """Two independent standard normal numbers from two words (Box and Muller)."""
    radius = math.sqrt(-_TWO * logarithm(unit(word)))
    sine, cosine = sine_cosine(other)
    return float32(radius) * cosine, float32(radius) * sine


def sign(word, bit):
    """+1 or -1, from one bit of a word."""
    return _ONE - _TWO * float32((word >> bit) & 1)


def normal(seed, stream, step, pass_, replica, index):
    """Draw a standard normal number.

    Parameters
    ----------
    seed, stream, step, pass_, replica, index : int
        Which draw, each in [0, 2**32).
    """
    w0, w1, w2, w3 = words(seed, stream, step, pass_, replica, index >> 2)
    even, odd = normal_pair(w0, w1) if index & 2 == 0 else normal_pair(w2, w3)
    return even if index & 1 == 0 else odd


def rademacher(seed, stream, step, pass_, replica, index):
    """Draw +1 or -1; parameters as for `normal`."""
    w0, w1, w2, w3 = words(seed, stream, step, pass_, replica, index >> 7)
    word = (index >> 5) & 3
    chosen = w0 if word == 0 else (w1 if word == 1 else (w2 if word == 2 else w3))
    return sign(chosen, index & 31)


def uniform(seed, stream, step, pass_, replica, index):
    """Draw a uniform number in (0, 1]; parameters as for `normal`."""
    w0, w1, w2, w3 = words(seed, stream, step, pass_, replica, index >> 2)
    word = index & 3
    return unit(w0 if word == 0 else (w1 if word == 1 else (w2 if word == 2 else w3)))


def weight_index(post, pre, n_pre):
    """Index of a weight's draw: every row starts at a whole block of every distribution."""
    return post * (-(-n_pre // 128) * 128) + pre


def draw(distribution, seed, stream, step, pass_, replica, index):
    """Draw from `NORMAL` or `RADEMACHER`, both of mean 0 and variance 1."""
    if distribution == RADEMACHER:
        return rademacher(seed, stream, step, pass_, replica, index)
    return normal(seed, stream, step, pass_, replica, index)
