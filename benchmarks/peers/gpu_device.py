"""Where the CUDA-graph peer runs: on a GPU through CuPy and cuBLAS, or here in NumPy.

Both have the same methods; the peer cannot tell. CuPy refuses cuBLAS while a stream is
captured (14.2 still did; cupy/cupy#6290), so products go to cuBLAS by ctypes, with a handle
and a workspace of their own, as PyTorch's do.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

import numpy as np

from .gpu_kernels import kernels

WORKSPACE = 32 << 20  # bytes, as NVIDIA advises for Hopper


class Host:
    """NumPy. A graph is a call."""

    def __init__(self, seed=0):
        self.kernels = kernels(on_device=False)
        self._generator = np.random.default_rng(seed)

    def zeros(self, *shape):
        return np.zeros(shape, dtype=np.float32)

    def put(self, values):
        """Copy to the device."""
        return np.array(values, dtype=np.float32)

    def get(self, values):
        """Copy from the device."""
        return values.copy()

    def copy(self, to, values):
        """Copy on the device, of any strides; `values` are broadcast."""
        to[...] = values

    def product(self, out, a, b, turn_a=False, turn_b=False, factor=1.0, keep=0.0):
        """``out = factor * a @ b + keep * out``, a and b transposed if they are to turn."""
        self._add(out, factor * ((a.T if turn_a else a) @ (b.T if turn_b else b)), keep)

    def times_vector(self, out, a, x, turn=False, factor=1.0, keep=0.0):
        """``out = factor * a @ x + keep * out``."""
        self._add(out, factor * ((a.T if turn else a) @ x), keep)

    def _add(self, out, product, keep):
        out[...] = product + keep * out if keep else product  # as cuBLAS, which reads no rubbish

    def normal(self, out, sigma):
        """Fill with normal numbers."""
        out[...] = sigma * self._generator.standard_normal(out.shape, dtype=np.float32)

    def graph(self, work):
        """Give what does `work` again and again."""
        return work

    def wait(self):
        """Wait until all is done."""


class Cuda:
    """CuPy on the current device, on a stream of its own."""

    def __init__(self, seed=0):
        import cupy
        from cupy_backends.cuda.libs import curand

        self.kernels = kernels(on_device=True)
        self._cupy, self._curand = cupy, curand
        self._stream = cupy.cuda.Stream(non_blocking=True)
        with self._stream:
            workspace = cupy.empty(WORKSPACE, dtype=np.uint8)
        self._blas = Blas(load_cublas(), self._stream.ptr, workspace)
        # Whatever CuPy allocates while a graph is captured, the graph uses ever after.
        self._pool = cupy.cuda.MemoryPool()
        self._generator = curand.createGenerator(curand.CURAND_RNG_PSEUDO_PHILOX4_32_10)
        curand.setPseudoRandomGeneratorSeed(self._generator, seed)

    def __del__(self):
        with suppress(Exception):  # half made, or the interpreter is going
            self._curand.destroyGenerator(self._generator)

    def zeros(self, *shape):
        with self._stream:
            return self._cupy.zeros(shape, dtype=np.float32)

    def put(self, values):
        with self._stream:
            return self._cupy.array(values, dtype=np.float32)

    def get(self, values):
        with self._stream:
            return values.get()

    def copy(self, to, values):
        with self._stream:
            to[...] = values

    def product(self, *given, **options):
        self._blas.product(*given, **options)

    def times_vector(self, *given, **options):
        self._blas.times_vector(*given, **options)

    def normal(self, out, sigma):
        with self._stream:  # in pairs; whoever asks has an even number
            self._curand.generateNormal(self._generator, out.data.ptr, out.size, 0.0, sigma)

    def graph(self, work):
        """Do the work once, so that all is compiled and loaded; then capture it."""
        with self._stream, self._cupy.cuda.using_allocator(self._pool.malloc):
            work()
            self._stream.synchronize()
            self._stream.begin_capture()
            try:
                work()
            except BaseException:
                with suppress(Exception):  # a stream that goes on capturing is of no use
                    self._stream.end_capture()
                raise
            graph = self._stream.end_capture()
        return lambda: graph.launch(self._stream)

    def wait(self):
        self._stream.synchronize()


class Blas:
    """Single-precision products of row-major arrays by cuBLAS, which is column-major.

    What a row-major array is to us, its transpose is to cuBLAS, so ``out = a @ b`` is asked
    for as ``out^T = b^T @ a^T``. Factors are read when a call is captured. TF32 is off, as it
    is by default.
    """

    def __init__(self, library, stream, workspace):
        self._library, self._workspace = library, workspace
        self._handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(self._handle))
        self._call("cublasSetStream_v2", self._handle, ctypes.c_void_p(stream))
        # After the stream, which would set it back.
        size = ctypes.c_size_t(workspace.nbytes)
        self._call("cublasSetWorkspace_v2", self._handle, _at(workspace), size)

    def __del__(self):
        with suppress(Exception):
            self._library.cublasDestroy_v2(self._handle)

    def _call(self, name, *given):
        status = getattr(self._library, name)(*given)
        if status:
            raise RuntimeError(f"{name} failed: cuBLAS status {status}")

    def product(self, out, a, b, turn_a=False, turn_b=False, factor=1.0, keep=0.0):
        """``out = factor * a @ b + keep * out``, a and b transposed if they are to turn."""
        (rows, columns), inner = out.shape, a.shape[0 if turn_a else 1]
        self._call(
            "cublasSgemm_v2",
            self._handle,
            int(turn_b),
            int(turn_a),
            columns,
            rows,
            inner,
            ctypes.byref(ctypes.c_float(factor)),
            _at(b),
            _row(b),
            _at(a),
            _row(a),
            ctypes.byref(ctypes.c_float(keep)),
            _at(out),
            _row(out),
        )

    def times_vector(self, out, a, x, turn=False, factor=1.0, keep=0.0):
        """``out = factor * a @ x + keep * out``."""
        self._call(
            "cublasSgemv_v2",
            self._handle,
            int(not turn),
            a.shape[1],
            a.shape[0],
            ctypes.byref(ctypes.c_float(factor)),
            _at(a),
            _row(a),
            _at(x),
            x.strides[0] // 4,
            ctypes.byref(ctypes.c_float(keep)),
            _at(out),
            out.strides[0] // 4,
        )


def _at(array):
    """Address of a CuPy array; of a NumPy array in tests."""
    found = array.data.ptr if hasattr(array.data, "ptr") else array.ctypes.data
    return ctypes.c_void_p(found)


def _row(array):
    """Numbers from one row to the next: a lone row may claim any stride."""
    return array.strides[0] // 4 if array.shape[0] > 1 else array.shape[1]


def load_cublas():
    """Load the cuBLAS that CuPy uses.

    Raises
    ------
    ImportError
        If there is none.
    """
    names = ["libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "cublas64_13.dll"]
    with suppress(Exception):
        from cuda import pathfinder

        names.insert(0, pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
    with suppress(Exception):  # what CuPy has loaded is found by its bare name
        from cupy_backends.cuda.libs import cublas  # noqa: F401
    for name in names:
        with suppress(OSError):
            return ctypes.CDLL(name)
    raise ImportError(f"cuBLAS was not found (tried {', '.join(names)})")
