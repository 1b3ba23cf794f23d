"""Chips to start from, each after what was published of one, or after a question.

No preset is a model of its namesake: it has the numbers that a `Substrate` has fields for.
Combine them with ``preset | {"field": value}`` or ``preset | other_preset``.
"""

from neurosim.substrate.record import FITTED, Substrate

ideal = Substrate()
"""Nothing assumed."""

noisy_node = Substrate(act_noise=0.04)
"""Noise on what arrives at a neuron.

0.04 is the output noise per read of the multiply-accumulate arrays in [1]_ (inputs up to 1,
weights up to 1, before the converter); as noise of a pre-activation it is our choice.

.. [1] Rasch et al. (2023), Hardware-aware training for large-scale and diverse deep learning
   inference workloads using in-memory computing-based accelerators, Nat. Commun. 14:5282; as
   in aihwkit's ``StandardHWATrainingPreset``.
"""

loihi_like = Substrate(w_bits=9, w_max=FITTED, rounding="stochastic", act_bits=7)
"""Digital: few bits, rounded by chance.

Weights of 8 bits and a sign (-255 to 255), traces of 7 bits, stochastic rounding of changes
[1]_, [2]_. What rules read of an activity stands for the traces, here over -4 to 4 (our
choice). Of perturbations much smaller than a level, 0.063, ANP sees but the few that happen
to cross the border between two: right on average, and coarse.

.. [1] Davies et al. (2018), Loihi: A neuromorphic manycore processor with on-chip learning,
   IEEE Micro 38(1).
.. [2] Michaelis, Lehr, Oed, Tetzlaff (2022), Brian2Loihi, Front. Neuroinform. 16:1015624.
"""

bss2_like = Substrate(
    w_bits=7, w_max=FITTED, event_bits=5, act_bits=8, act_range=4.0, act_noise=4.0 * 2 / 128
)
"""Analog sums between digital ends.

Weights from -63 to 63 by pairs of rows, inputs of 5 bits (the chip's have no sign, which is
one of ours), outputs of 8 bits [1]_; noise of 2 of their 128 levels, the default of the
published software model [2]_, not a measurement. The range of 4 is our choice.

.. [1] Weis et al. (2020), Inference with artificial neural networks on analog neuromorphic
   hardware, IoT Streams / ITEM, arXiv:2006.13177.
.. [2] Spilger et al. (2020), hxtorch: PyTorch for BrainScaleS-2, arXiv:2006.13138.
"""

dynapse_like = Substrate(mismatch_gain=0.1, mismatch_tau=0.1, act_noise=0.04, event_loss=1e-3)
"""Subthreshold analog neurons that are not alike.

A mismatch of 10 % is within what was measured (time constants 7 to 18 %, weights 14 to 30 %
[1]_) and a usual assumption (5 to 20 % [2]_). For the process noise and the loss of events we
found no published figure: our choice.

.. [1] Zendrikov, Solinas, Indiveri (2023), Brain-inspired methods for achieving robust
   computation in heterogeneous mixed-signal neuromorphic processing systems, Neuromorph.
   Comput. Eng. 3.
.. [2] Buechel, Zendrikov, Solinas, Indiveri, Muir (2021), Supervised training of spiking
   neural networks for robust deployment on mixed-signal neuromorphic processors, Sci. Rep. 11.
"""

rram_hfo2 = Substrate(
    w_max=FITTED,
    soft_bounds=1.0,
    w_min_step=0.4622,
    rounding="stochastic",
    d2d=0.7125,
    c2c=0.2174,
    w_write_noise=0.27,
    w_read_noise=0.01,
    stuck_fraction=0.098,
    stuck_at=0.0,
)
"""Resistive memory, the baseline HfO2 of a published array [1]_.

In units of the full scale: four steps of 0.4622 from end to end, which soft bounds make
asymmetric away from 0; they differ from device to device (log-normally there, normally here)
and from cycle to cycle; a write leaves noise of 0.5841 steps, 0.27; 9.8 % of the devices are
stuck near 0. Pulses come by chance, as often as the wanted change calls for. The read noise
of 0.01 is what aihwkit advises for such memories, not from [1]_.

.. [1] Gong, Rasch et al. (2022), Deep learning acceleration in 14nm CMOS compatible ReRAM
   array: device, material and algorithm co-optimization, IEDM; as in aihwkit's
   ``ReRamArrayHfO2PresetDevice``.
"""

pcm_drift = Substrate(w_max=FITTED, w_read_noise=0.0175, drift_nu=(0.049, 0.1))
"""Phase-change memory: noise whenever it is read, and drift.

A read noise of 0.0175 of the full scale [1]_ (there it shrinks with the root of a weight,
here it does not: small weights are noisier than published); exponents of drift from 0.049 to
0.1, the range of their means [2]_, [3]_. Time is counted in steps since a device was written.

.. [1] Rasch et al. (2023), Nat. Commun. 14:5282; as in aihwkit's inference preset.
.. [2] Nandakumar et al. (2019), Phase-change memory models for deep learning training and
   inference, ICECS.
.. [3] Joshi et al. (2020), Accurate deep neural network inference using computational
   phase-change memory, Nat. Commun. 11:2473.
"""

ecram = Substrate(
    w_max=FITTED, w_min_step=0.002, rounding="stochastic", soft_bounds=0.31, c2c=0.3, d2d=0.1
)
"""Electrochemical memory: a thousand small steps, nearly linear [1]_.

Steps of 0.002 of the full scale that shrink towards the bounds by 12 % (up) and 51 % (down),
here by their mean; they vary by 30 % from cycle to cycle and 10 % from device to device.

.. [1] Tang et al. (2018), ECRAM as scalable synaptic cell for high-speed, low-power
   neuromorphic computing, IEDM; as in aihwkit's ``EcRamPresetDevice``.
"""

smtj = Substrate(act_telegraph=0.04, telegraph_dwell=10.0)
"""Superparamagnetic tunnel junctions: each neuron has a source of telegraph noise.

Two states with exponential dwell times [1]_. How large the noise is, and how many steps it
stays, is our choice (published dwell times go from nanoseconds to seconds).

.. [1] Vodenicarevic et al. (2017), Low-energy truly random number generation with
   superparamagnetic tunnel junctions for unconventional computing, Phys. Rev. Applied 8:054045.
"""

bad_reward = Substrate(reward_delay=10, reward_bits=4, reward_noise=1.0, reward_loss=0.01)
"""A poor broadcast line: late, coarse, noisy and with gaps.

No published figures: our choice.
"""

CHIPS = {
    "ideal": ideal,
    "noisy_node": noisy_node,
    "loihi_like": loihi_like,
    "bss2_like": bss2_like,
    "dynapse_like": dynapse_like,
    "rram_hfo2": rram_hfo2,
    "pcm_drift": pcm_drift,
    "ecram": ecram,
    "smtj": smtj,
    "bad_reward": bad_reward,
}
