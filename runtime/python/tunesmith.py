"""Tunesmith's kernels for Python: open a database, find a kernel, launch it on PyTorch tensors and PyTorch's stream.

    import torch, tunesmith
    kernels = tunesmith.Kernels(tunesmith.Device("cuda"), "tunesmith.db")
    gemv = kernels.find("gemv n=4096 k=1024 dtype=bf16 out=bf16 act=none")
    gemv.launch(x=x, w=w, out=y, n=4096, k=1024, stream=torch.cuda.current_stream().cuda_stream)

Nothing to build: ctypes over libtunesmith.so (looked for in TUNESMITH_LIB, beside this file, in build/, on the loader's
path), DLPack for tensors. A tensor argument is anything with `__dlpack__`, a writable buffer (bytearray, array, ctypes
array), an address as int, or None. Row pitches come from a tensor's strides unless given. Dtypes are checked.
"""
import ctypes
import json
import os
import pathlib

__all__ = ["Device", "Kernels", "Kernel", "TunesmithError"]


class TunesmithError(RuntimeError):
    """A failed call; the text is the library's message."""


class _Err(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 1024)]


def _load():
    here = pathlib.Path(__file__).resolve().parent
    places = [os.environ.get("TUNESMITH_LIB"), here / "libtunesmith.so", here.parents[1] / "build/libtunesmith.so"]
    for place in places:
        if place and os.path.exists(place):
            return ctypes.CDLL(str(place))
    try:
        return ctypes.CDLL("libtunesmith.so.0")
    except OSError as error:
        raise TunesmithError(f"libtunesmith.so not found: set TUNESMITH_LIB ({error})") from None


_lib = _load()
_P, _S = ctypes.c_void_p, ctypes.c_char_p
for _name, _result, _arguments in (
    ("ts_device_open", ctypes.c_int, [_S, ctypes.c_int, ctypes.POINTER(_P), ctypes.POINTER(_Err)]),
    ("ts_device_close", None, [_P]),
    ("ts_device_name", _S, [_P]),
    ("ts_device_target", _S, [_P]),
    ("ts_kernels_open", ctypes.c_int, [_P, _S, ctypes.POINTER(_P), ctypes.POINTER(_Err)]),
    ("ts_kernels_close", None, [_P]),
    ("ts_kernels_warning", _S, [_P, ctypes.c_size_t]),
    ("ts_kernel_find", ctypes.c_int, [_P, _S, ctypes.POINTER(_P), ctypes.POINTER(_Err)]),
    ("ts_kernel_variant", _S, [_P]),
    ("ts_kernel_launch_data", _S, [_P]),
    ("ts_kernel_workspace_bytes", ctypes.c_size_t, [_P, _P]),
    ("ts_kernel_launch", ctypes.c_int, [_P, _P, _P, ctypes.c_size_t, ctypes.POINTER(_Err)]),
):
    getattr(_lib, _name).restype, getattr(_lib, _name).argtypes = _result, _arguments


def _call(function, *arguments):
    err = _Err()
    if function(*arguments, ctypes.byref(err)) != 0:
        raise TunesmithError(err.message.decode())


# ---- DLPack: the one page of its ABI that a reader needs ----

class _DLTensor(ctypes.Structure):
    _fields_ = [("data", _P), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = _P, [ctypes.py_object, _S]
_DTYPES = {(2, 32): "fp32", (2, 16): "fp16", (4, 16): "bf16", (0, 32): "int32"}  # (DLPack type code, bits)
_DLPACK_CPU = 1


class _View:
    """Address, dtype, row pitch and device of one argument. The capsule stays with its owner: it is never renamed, so
    its own destructor releases it when this function returns, and the caller's tensor keeps the memory alive."""

    def __init__(self, value):
        # stream=-1: no synchronisation by the producer; order is the caller's choice of stream.
        try:
            capsule = value.__dlpack__(stream=-1)
        except (TypeError, ValueError, AssertionError, RuntimeError):
            capsule = value.__dlpack__()
        tensor = ctypes.cast(_capsule_pointer(capsule, b"dltensor"), ctypes.POINTER(_DLTensor)).contents
        self.address = (tensor.data or 0) + tensor.byte_offset
        self.dtype = _DTYPES.get((tensor.code, tensor.bits))
        self.on_cpu = tensor.device_type == _DLPACK_CPU
        shape = tensor.shape[:tensor.ndim]
        strides = tensor.strides[:tensor.ndim] if tensor.strides else None
        self.contiguous_columns = not strides or shape[-1] == 1 or strides[-1] == 1
        self.pitch = strides[-2] if strides and tensor.ndim > 1 else (shape[-1] if shape else 1)


def _address_of_buffer(value):
    view = memoryview(value)
    if view.readonly:
        raise TunesmithError("a buffer argument must be writable (bytearray, array.array or a ctypes array)")
    return ctypes.addressof(ctypes.c_char.from_buffer(value)) if view.nbytes else 0


_C_TYPES = {"ptr": _P, "i32": ctypes.c_int32, "i64": ctypes.c_int64, "u32": ctypes.c_uint32, "f32": ctypes.c_float}


class Device:
    """A GPU ("cuda", "cuda:1"), the CPU ("cpu"), or "auto"."""

    def __init__(self, name="auto", threads=0):
        self._handle = _P()
        _call(_lib.ts_device_open, name.encode(), threads, ctypes.byref(self._handle))
        self.name = _lib.ts_device_name(self._handle).decode()
        self.target = _lib.ts_device_target(self._handle).decode()

    def __del__(self):
        if getattr(self, "_handle", None):
            _lib.ts_device_close(self._handle)


class Kernels:
    """A database opened for a device; `path` None looks in the usual places."""

    def __init__(self, device, path=None):
        self.device, self._handle = device, _P()
        _call(_lib.ts_kernels_open, device._handle, os.fspath(path).encode() if path else None, ctypes.byref(self._handle))

    def find(self, problem):
        """The best kernel for "family field=value ..."."""
        handle = _P()
        _call(_lib.ts_kernel_find, self._handle, problem.encode(), ctypes.byref(handle))
        return Kernel(self, handle)

    @property
    def warnings(self):
        """What was noticed at open and find, oldest first."""
        texts, i = [], 0
        while (text := _lib.ts_kernels_warning(self._handle, i)) is not None:
            texts.append(text.decode())
            i += 1
        return texts

    def __del__(self):
        if getattr(self, "_handle", None):
            _lib.ts_kernels_close(self._handle)


class Kernel:
    """One kernel. `variant` names it; `members` are the names that launch() takes."""

    def __init__(self, kernels, handle):
        self._kernels, self._handle = kernels, handle  # keeps the database open
        self.variant = _lib.ts_kernel_variant(handle).decode()
        self.launch_data = json.loads(_lib.ts_kernel_launch_data(handle).decode())
        self._struct = type("args", (ctypes.Structure,), {
            "_fields_": [(m["name"], _C_TYPES[m["type"]]) for m in self.launch_data["args"]]})
        for member in self.launch_data["args"]:
            if getattr(self._struct, member["name"]).offset != member["offset"]:
                raise TunesmithError(f"{self.variant}: this Python lays out args differently from the kernel")
        if ctypes.sizeof(self._struct) != self.launch_data["args_bytes"]:
            raise TunesmithError(f"{self.variant}: args struct is {ctypes.sizeof(self._struct)} bytes here, "
                                 f"{self.launch_data['args_bytes']} in the kernel")
        self._types = {m["name"]: m["type"] for m in self.launch_data["args"]}
        self._tensors = {t["name"]: t for t in self.launch_data["tensors"]}
        self.members = list(self._types)

    def _set_tensor(self, args, name, value, given):
        tensor = self._tensors.get(name)
        if value is None or isinstance(value, int):
            setattr(args, name, value)
        elif hasattr(value, "__dlpack__"):
            view = _View(value)
            if tensor and view.dtype != tensor["dtype"]:
                raise TunesmithError(f"{self.variant}: {name} is {view.dtype}, the kernel takes {tensor['dtype']}")
            if view.on_cpu != self._kernels.device.target.startswith("cpu"):
                raise TunesmithError(f"{self.variant}: {name} does not lie on {self._kernels.device.name}")
            if not view.contiguous_columns:
                raise TunesmithError(f"{self.variant}: the last dimension of {name} must be contiguous")
            setattr(args, name, view.address)
            if tensor and tensor["pitch"] and tensor["pitch"] not in given:
                setattr(args, tensor["pitch"], view.pitch)
        else:
            setattr(args, name, _address_of_buffer(value))

    def args(self, **values):
        """The filled args struct; tensors must outlive the work. Members that are not given are 0."""
        args = self._struct()
        for name, value in values.items():
            kind = self._types.get(name)
            if kind is None:
                raise TunesmithError(f"{self.variant}: no argument '{name}'; it takes {', '.join(self.members)}")
            if kind == "ptr":
                self._set_tensor(args, name, value, values)
            else:
                setattr(args, name, value)
        for name in self.launch_data["extents"]:
            if name not in values:
                raise TunesmithError(f"{self.variant}: the extent '{name}' is missing")
        for name, tensor in self._tensors.items():
            if not tensor["optional"] and values.get(name) is None:
                raise TunesmithError(f"{self.variant}: the tensor '{name}' is missing")
        return args

    def workspace_bytes(self, args):
        """Bytes that args.workspace must point to."""
        return _lib.ts_kernel_workspace_bytes(self._handle, ctypes.byref(args))

    def run(self, args, stream=None):
        """Launches a struct made by args(): the cheap way to launch again and again."""
        _call(_lib.ts_kernel_launch, self._handle, stream or None, ctypes.byref(args), ctypes.sizeof(args))

    def launch(self, stream=None, **values):
        """args() and run() in one. A kernel that wants workspace is given it as `workspace=`."""
        args = self.args(**values)
        need = self.workspace_bytes(args)
        if need and not args.workspace:
            raise TunesmithError(f"{self.variant}: pass workspace= of at least {need} bytes")
        self.run(args, stream)
