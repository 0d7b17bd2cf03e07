"""Run by python_test.c with TUNESMITH_LIB and TUNESMITH_DB set: the module against one known CPU kernel.

scale: y[m, k] = factor * x[m, k] + bias[k], with pitches, an optional tensor and a workspace. DLPack tensors
are made by hand here, so that their deleter can be counted and no array library is needed.
"""
import array
import ctypes
import gc
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "runtime", "python"))
import tunesmith  # noqa: E402

PROBLEM = "scale m=4 k=3 dtype=fp32"


class Managed(ctypes.Structure):
    """DLManagedTensor of dlpack.h."""
    _fields_ = [("tensor", tunesmith._DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(Managed))
DESTRUCTOR = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, DESTRUCTOR]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]


class Tensor:
    """A DLPack producer over a ctypes array. `exported` and `deleted` count capsules and calls of deleters."""

    def __init__(self, values, shape, strides=None, code=2, bits=32, device=1, offset=0):
        self.memory = (ctypes.c_float * len(values))(*values)
        self.exported = self.deleted = 0
        self.shape = (ctypes.c_int64 * len(shape))(*shape)
        self.strides = (ctypes.c_int64 * len(strides))(*strides) if strides else None
        self.deleter = DELETER(self._delete)
        self.destructor = DESTRUCTOR(self._destroy)
        self.managed = Managed()
        t = self.managed.tensor
        t.data, t.byte_offset, t.ndim = ctypes.addressof(self.memory), offset, len(shape)
        t.device.type, t.code, t.bits, t.lanes = device, code, bits, 1
        t.shape = ctypes.cast(self.shape, ctypes.POINTER(ctypes.c_int64))
        if strides:
            t.strides = ctypes.cast(self.strides, ctypes.POINTER(ctypes.c_int64))

    def _delete(self, managed):
        self.deleted += 1

    def _destroy(self, capsule):  # what every producer does: an unconsumed capsule frees its tensor
        if _is_valid(capsule, b"dltensor"):
            self.deleter(ctypes.pointer(self.managed))

    def __dlpack__(self, stream=None):
        self.exported += 1
        return _new(ctypes.addressof(self.managed), b"dltensor", self.destructor)


class Door(unittest.TestCase):
    def setUp(self):
        self.device = tunesmith.Device("cpu", threads=2)
        self.kernels = tunesmith.Kernels(self.device)
        self.kernel = self.kernels.find(PROBLEM)

    def tearDown(self):
        self.device.close()

    def fails(self, part, function, *arguments, **keywords):
        with self.assertRaises(tunesmith.TunesmithError) as caught:
            function(*arguments, **keywords)
        self.assertIn(part, str(caught.exception))
        return caught.exception

    def test_facts(self):
        self.assertRegex(tunesmith.version(), r"^\d+\.\d+\.\d+$")
        self.assertTrue(self.device.target.startswith("cpu-") and self.device.name)
        self.assertEqual(self.kernel.variant, "scale/v")
        self.assertEqual(self.kernel.launch_data["extents"], ["m", "k"])
        self.assertEqual(len(self.kernels.warnings), 1)
        self.assertIn("default", self.kernels.warnings[0])
        self.assertEqual(self.kernel.workspace_bytes(m=7), 28)

    def test_dlpack(self):
        x = Tensor(range(12), (4, 3))
        y = Tensor([0] * 20, (4, 3), strides=(5, 1))
        bias = Tensor([100, 200, 300], (3,))
        self.kernel.launch(x=x, y=y, bias=bias, m=4, k=3, factor=2)
        for row in range(4):
            want = [2 * (3 * row + i) + 100 * (i + 1) for i in range(3)]
            self.assertEqual(list(y.memory)[5 * row:5 * row + 3], want)
            self.assertEqual(list(y.memory)[5 * row + 3:5 * row + 5], [0, 0])
        gc.collect()
        for tensor in (x, y, bias):
            self.assertEqual((tensor.exported, tensor.deleted), (1, 1))

    def test_dlpack_layouts(self):
        x = Tensor(range(13), (2, 2, 3), offset=4)  # leading dimensions flatten; starts at element 1
        y = Tensor([0] * 12, (4, 3))
        self.kernel.launch(x=x, y=y, m=4, k=3, factor=1)
        self.assertEqual(list(y.memory), [i + 1.0 for i in range(12)])
        launch = self.kernel.launch
        self.fails("contiguous", launch, x=Tensor(range(12), (4, 3), strides=(1, 4)), y=y, m=4, k=3, factor=1)
        self.fails("flatten", launch, x=Tensor(range(99), (2, 2, 3), strides=(20, 3, 1)), y=y, m=4, k=3, factor=1)
        self.fails("is fp16", launch, x=Tensor(range(12), (4, 3), bits=16), y=y, m=4, k=3, factor=1)
        self.fails("is int32", launch, x=Tensor(range(12), (4, 3), code=0), y=y, m=4, k=3, factor=1)
        self.fails("a CUDA device", launch, x=Tensor(range(12), (4, 3), device=2), y=y, m=4, k=3, factor=1)
        self.fails("x_pitch", launch, x=Tensor(range(12), (12,)), y=y, m=4, k=3, factor=1)

    def test_a_call_is_reusable_and_holds_its_tensors(self):
        x, y = Tensor(range(12), (4, 3)), Tensor([0] * 12, (4, 3))
        call = self.kernel.prepare(x=x, y=y, m=4, k=3, factor=3)
        for _ in range(3):
            y.memory[5] = -1
            call.launch()
            self.assertEqual(y.memory[5], 15)
        self.assertEqual((x.exported, x.deleted), (1, 0))
        del call
        gc.collect()
        self.assertEqual((x.exported, x.deleted), (1, 1))

    def test_buffers_and_addresses(self):
        x = array.array("f", range(12))
        y = bytearray(48)
        rows = memoryview(x).cast("B").cast("f", (4, 3))
        self.kernel.launch(x=rows, y=y, y_pitch=3, m=4, k=3, factor=2)
        self.assertEqual(list(memoryview(y).cast("f")), [2.0 * i for i in range(12)])
        out = (ctypes.c_float * 12)()
        frozen = bytes(memoryview(x))  # read-only is fine for an input
        self.kernel.launch(x=frozen, x_pitch=3, y=ctypes.addressof(out), y_pitch=3, m=4, k=3, factor=1)
        self.assertEqual(list(out), [float(i) for i in range(12)])
        launch = self.kernel.launch
        self.fails("y", launch, x=rows, y=frozen, y_pitch=3, m=4, k=3, factor=1)
        self.fails("this kernel wants fp32", launch, x=array.array("d", range(12)), x_pitch=3, y=y, y_pitch=3,
                   m=4, k=3, factor=1)
        self.fails("x", launch, x=object(), x_pitch=3, y=y, y_pitch=3, m=4, k=3, factor=1)
        y.append(0)  # no buffer export is left behind, else this raises BufferError

    def test_missing_and_wrong_arguments(self):
        x, y = Tensor(range(12), (4, 3)), Tensor([0] * 12, (4, 3))
        launch = self.kernel.launch
        self.fails("the tensor x is missing", launch, y=y, m=4, k=3, factor=1)
        self.fails("argument k is missing", launch, x=x, y=y, m=4, factor=1)
        self.fails("no argument q", launch, x=x, y=y, q=1, m=4, k=3, factor=1)
        self.fails("x does not tell it", launch, x=1 << 20, y=y, m=4, k=3, factor=1)
        self.fails("m=", launch, x=x, y=y, m=1 << 40, k=3, factor=1)
        self.fails("k=", launch, x=x, y=y, m=4, k="3", factor=1)
        error = self.fails("extent m is -1", launch, x=x, y=y, m=-1, k=3, factor=1)
        self.assertEqual(error.status, "invalid argument")

    def test_library_errors(self):
        error = self.fails("tune --db", self.kernels.find, "scale m=1 k=1 dtype=bf16")
        self.assertEqual(error.status, "not found")
        self.fails("lacks the extent k", self.kernels.find, "scale m=1 dtype=fp32")
        self.fails("give auto", tunesmith.Device, "tpu")
        self.fails("no kernel database", tunesmith.Kernels, self.device, "/nonexistent.db")

    def test_closing(self):
        x, y = Tensor(range(12), (4, 3)), Tensor([0] * 12, (4, 3))
        call = self.kernel.prepare(x=x, y=y, m=4, k=3, factor=1)
        self.device.close()
        self.device.close()
        self.fails("closed", call.launch)
        self.fails("closed", self.kernels.find, PROBLEM)
        self.fails("closed", tunesmith.Kernels, self.device)
        with tunesmith.Device("cpu", threads=1) as device, tunesmith.Kernels(device) as kernels:
            kernels.find(PROBLEM).launch(x=x, y=y, m=4, k=3, factor=1)
        self.assertEqual(y.memory[11], 11)


if __name__ == "__main__":
    unittest.main()
