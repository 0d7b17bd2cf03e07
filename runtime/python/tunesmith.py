"""Tunesmith kernels from Python: find a tuned kernel, fill its args struct by name, launch it.

    import tunesmith
    device = tunesmith.Device("cuda")                         # or "cpu", "auto", "cuda:1"
    kernels = tunesmith.Kernels(device, "tunesmith.db")
    gemv = kernels.find("gemv n=4096 k=1024 dtype=bf16 ...")
    gemv.launch(x=x, w=w, out=out, n=4096, k=1024, ...)       # names of templates/gemv/args.h

Needs libtunesmith.so and nothing else (Python 3.8 or later, ctypes). A tensor is anything with `__dlpack__`
(PyTorch, CuPy, JAX, NumPy), on the CPU also anything with the buffer protocol (bytearray, array, ctypes), an
address as an int, or None. Its dtype is checked. Where the kernel has a pitch for it and none is given, the
pitch is the tensor's row stride. A launch on a GPU returns at once: keep the tensors alive until the stream
has done the work. Errors are TunesmithError with the library's message.
"""
import ctypes
import json
import os
import struct
import weakref

__all__ = ["Device", "Kernels", "Kernel", "Call", "TunesmithError", "version"]


class TunesmithError(Exception):
    """What went wrong, which object, and the next step; `status` is the library's name for the kind."""

    def __init__(self, message, status="invalid argument"):
        super().__init__(message)
        self.status = status


# ---- the library ----


class _Err(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 1024)]


_HANDLE = ctypes.c_void_p
_TEXT = ctypes.c_char_p
_OUT = ctypes.POINTER(ctypes.c_void_p)
_ERR = ctypes.POINTER(_Err)

_PROTOTYPES = {
    "ts_version": (_TEXT, []),
    "ts_status_name": (_TEXT, [ctypes.c_int]),
    "ts_device_open": (ctypes.c_int, [_TEXT, ctypes.c_int, _OUT, _ERR]),
    "ts_device_close": (None, [_HANDLE]),
    "ts_device_name": (_TEXT, [_HANDLE]),
    "ts_device_target": (_TEXT, [_HANDLE]),
    "ts_kernels_open": (ctypes.c_int, [_HANDLE, _TEXT, _OUT, _ERR]),
    "ts_kernels_close": (None, [_HANDLE]),
    "ts_kernels_warning": (_TEXT, [_HANDLE, ctypes.c_size_t]),
    "ts_kernel_find": (ctypes.c_int, [_HANDLE, _TEXT, _OUT, _ERR]),
    "ts_kernel_variant": (_TEXT, [_HANDLE]),
    "ts_kernel_launch_data": (_TEXT, [_HANDLE]),
    "ts_kernel_workspace_bytes": (ctypes.c_size_t, [_HANDLE, ctypes.c_void_p]),
    "ts_kernel_launch": (ctypes.c_int,
                         [_HANDLE, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, _ERR]),
}

_library = None


def _candidates():
    """Where the library may be: the variable alone if set, beside this file, the source tree's build, the lib
    folder that this file is installed below, the system."""
    chosen = os.environ.get("TUNESMITH_LIB")
    if chosen:
        return [chosen]
    here = os.path.dirname(os.path.abspath(__file__))
    files = [os.path.join(here, "libtunesmith.so"),
             os.path.join(here, "..", "..", "build", "libtunesmith.so"),
             os.path.join(here, "..", "..", "libtunesmith.so.0")]
    return [f for f in files if os.path.exists(f)] + ["libtunesmith.so.0"]


def _load():
    global _library
    if _library is not None:
        return _library
    names = _candidates()
    try:
        library = ctypes.CDLL(names[0])
    except OSError as error:
        raise TunesmithError("cannot load %s: %s; run make, or set TUNESMITH_LIB" % (names[0], error),
                             "not found") from None
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    _library = library
    return library


def _call(function, *arguments):
    """Calls a library function that returns a status and takes an error last."""
    err = _Err()
    status = function(*arguments, ctypes.byref(err))
    if status:
        name = _library.ts_status_name(status).decode()
        raise TunesmithError(err.message.decode("utf-8", "replace") or name, name)


def _text(value):
    return os.fsencode(value)


def version():
    """The version of the library in use, "0.1.0"."""
    return _load().ts_version().decode()


# ---- tensors ----


class _DLDevice(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class _DLTensor(ctypes.Structure):
    """DLTensor of dlpack.h; first member of the DLManagedTensor that a "dltensor" capsule points to."""
    _fields_ = [("data", ctypes.c_void_p), ("device", _DLDevice), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class _PyBuffer(ctypes.Structure):
    """Py_buffer of the C API."""
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t),
                ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
                ("format", ctypes.c_char_p), ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
                ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
                ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)), ("internal", ctypes.c_void_p)]


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int]
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_PyBuffer)]
_BUFFER_READ, _BUFFER_WRITE = 0x11C, 0x11D  # PyBUF_FULL_RO, PyBUF_FULL

_DL_CPU, _DL_CUDA, _DL_CUDA_HOST, _DL_CUDA_MANAGED = 1, 2, 3, 13
_DL_NAMES = {_DL_CPU: "the CPU", _DL_CUDA: "a CUDA device"}
_DL_DTYPES = {(2, 32): "fp32", (2, 16): "fp16", (4, 16): "bf16", (0, 32): "int32", (2, 64): "fp64",
              (0, 64): "int64", (0, 16): "int16", (0, 8): "int8", (1, 8): "uint8", (6, 8): "bool"}
# Buffers know no bf16: 16-bit integers and plain bytes are taken as whatever the kernel wants.
_BUFFER_DTYPES = {("f", 4): ("fp32",), ("e", 2): ("fp16",), ("i", 4): ("int32",), ("l", 4): ("int32",),
                  ("h", 2): ("fp16", "bf16"), ("H", 2): ("fp16", "bf16"),
                  ("B", 1): None, ("b", 1): None, ("c", 1): None}
_DTYPE_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int32": 4}


class _BufferView:
    """An exported buffer, given back when this object goes."""

    def __init__(self, value, writable):
        self.raw = None
        raw = _PyBuffer()
        _get_buffer(value, ctypes.byref(raw), _BUFFER_WRITE if writable else _BUFFER_READ)
        self.raw = raw

    def __del__(self):
        if self.raw is not None:
            _release_buffer(ctypes.byref(self.raw))


def _dense_strides(shape):
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return strides[::-1]


def _row_pitch(name, shape, strides, pitched):
    """Elements from row to row, all leading dimensions taken as rows; None for a tensor that has no rows.
    Refuses what is not laid out so."""
    if 0 in shape or not shape:
        return None
    if shape[-1] > 1 and strides[-1] != 1:
        raise TunesmithError("%s: elements of a row must be contiguous, their stride is %d" % (name, strides[-1]))
    for i in range(len(shape) - 2):
        if shape[i] > 1 and strides[i] != shape[i + 1] * strides[i + 1]:
            raise TunesmithError("%s: leading dimensions do not flatten into equally spaced rows" % name)
    if len(shape) < 2:
        return None
    if not pitched and shape[-2] > 1 and strides[-2] != shape[-1]:
        raise TunesmithError("%s: must be contiguous, this kernel has no pitch for it" % name)
    return strides[-2]


class _TensorRule:
    """What the launch data says about one pointer member: how a value becomes an address and a pitch."""

    def __init__(self, entry, on_gpu, ordinal):
        self.name = entry["name"]
        self.dtype = entry.get("dtype")
        self.pitch = entry.get("pitch") or None
        self.optional = entry.get("optional", False)
        self.written = entry.get("direction", "inout") != "in"
        self.on_gpu = on_gpu
        self.ordinal = ordinal

    def resolve(self, value, keep):
        """(address, pitch or None); appends to `keep` what must live as long as the address is used."""
        if value is None:
            return 0, 0
        if isinstance(value, int):
            return value, None
        if hasattr(value, "__dlpack__"):
            try:
                return self._from_dlpack(value, keep)
            except BufferError:  # NumPy exports read-only arrays only as buffers
                if self.on_gpu:
                    raise
        return self._from_buffer(value, keep)

    def _check_dtype(self, dtype):
        if self.dtype and dtype != self.dtype:
            raise TunesmithError("%s: is %s, this kernel wants %s" % (self.name, dtype, self.dtype))

    def _check_place(self, device):
        fine = (_DL_CUDA, _DL_CUDA_HOST, _DL_CUDA_MANAGED) if self.on_gpu else (_DL_CPU, _DL_CUDA_HOST)
        if device.type not in fine:
            raise TunesmithError("%s: is on %s, the kernel runs on %s" % (
                self.name, _DL_NAMES.get(device.type, "device type %d" % device.type),
                _DL_NAMES[_DL_CUDA if self.on_gpu else _DL_CPU]))
        if device.type == _DL_CUDA and self.ordinal is not None and device.id != self.ordinal:
            raise TunesmithError("%s: is on GPU %d, the kernel on GPU %d" % (self.name, device.id, self.ordinal))

    def _from_dlpack(self, value, keep):
        # -1: no synchronisation between streams, which is the caller's. The capsule stays unconsumed: it is
        # only read, and its own destructor gives the tensor back.
        capsule = value.__dlpack__(stream=-1) if self.on_gpu else value.__dlpack__()
        tensor = _DLTensor.from_address(_capsule_pointer(capsule, b"dltensor"))
        keep.append(capsule)
        self._check_place(tensor.device)
        dtype = _DL_DTYPES.get((tensor.code, tensor.bits)) if tensor.lanes == 1 else None
        self._check_dtype(dtype or "of DLPack type %d, %d bits, %d lanes" % (tensor.code, tensor.bits, tensor.lanes))
        shape = tensor.shape[:tensor.ndim]
        strides = tensor.strides[:tensor.ndim] if tensor.strides else _dense_strides(shape)
        return ((tensor.data or 0) + tensor.byte_offset,
                _row_pitch(self.name, shape, strides, self.pitch is not None))

    def _from_buffer(self, value, keep):
        if self.on_gpu:
            raise TunesmithError("%s: a GPU kernel takes DLPack tensors or addresses, not %s" % (
                self.name, type(value).__name__))
        try:
            view = _BufferView(value, self.written)
        except (BufferError, TypeError) as error:
            raise TunesmithError("%s: %s" % (self.name, error)) from None
        keep.append(view)
        raw = view.raw
        kind = (raw.format or b"B").decode().lstrip("@=<")
        known = _BUFFER_DTYPES.get((kind, raw.itemsize), ())
        if known is not None and self.dtype not in known:
            self._check_dtype("of buffer format '%s'" % kind)
        shape = raw.shape[:raw.ndim] if raw.ndim else []
        strides = [s // raw.itemsize for s in raw.strides[:raw.ndim]] if raw.strides else _dense_strides(shape)
        pitch = _row_pitch(self.name, shape, strides, self.pitch is not None)
        if known is None and pitch is not None:  # bytes: rows are counted in elements all the same
            pitch //= _DTYPE_BYTES.get(self.dtype, 1)
        return raw.buf or 0, pitch


# ---- public classes ----


class Device:
    """"cpu", "cuda", "cuda:1", "cuda:UUID" or "auto"; `threads` is for the CPU, 0 means one a core."""

    def __init__(self, name="auto", threads=0):
        self._handle = None
        self._users = weakref.WeakSet()
        library = _load()
        handle = ctypes.c_void_p()
        _call(library.ts_device_open, _text(name), threads, ctypes.byref(handle))
        self._handle = handle
        self.name = library.ts_device_name(handle).decode("utf-8", "replace")
        self.target = library.ts_device_target(handle).decode()
        self.is_gpu = self.target.startswith("sm_")
        which = name[5:] if name.startswith("cuda:") else "0"
        self._ordinal = int(which) if which.isdigit() else None

    def close(self):
        """Closes the device and first every Kernels that uses it."""
        for user in list(self._users):
            user.close()
        handle, self._handle = self._handle, None
        if handle:
            _library.ts_device_close(handle)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __del__(self):
        if getattr(self, "_handle", None):
            self.close()

    def __repr__(self):
        return "<tunesmith.Device %s, %s>" % (self.name, self.target)


class Kernels:
    """A database opened for one device. `path` None: TUNESMITH_DB, the user's data folder, the system's."""

    def __init__(self, device, path=None):
        self._handle = None
        if not device._handle:
            raise TunesmithError("the device is closed")
        handle = ctypes.c_void_p()
        _call(_library.ts_kernels_open, device._handle, None if path is None else _text(path), ctypes.byref(handle))
        self._handle = handle
        self.device = device
        device._users.add(self)

    def find(self, problem):
        """The best Kernel for "family field=value ..."; all fields of the family, in any order."""
        kernel = ctypes.c_void_p()
        _call(_library.ts_kernel_find, self._open_handle(), _text(problem), ctypes.byref(kernel))
        return Kernel(self, kernel)

    @property
    def warnings(self):
        """What was noticed at open and find: rows skipped, kernels tuned for another device."""
        handle, found = self._open_handle(), []
        while True:
            text = _library.ts_kernels_warning(handle, len(found))
            if text is None:
                return found
            found.append(text.decode("utf-8", "replace"))

    def close(self):
        """Unloads the kernels; nothing of them may still run."""
        handle, self._handle = self._handle, None
        if handle:
            _library.ts_kernels_close(handle)

    def _open_handle(self):
        if not self._handle:
            raise TunesmithError("the kernels are closed")
        return self._handle

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __del__(self):
        if getattr(self, "_handle", None):
            self.close()


class Kernel:
    """One loaded kernel. `launch_data` is its description (templates/README.md) as a dict."""

    _PACK = {"ptr": "=Q", "i32": "=i", "i64": "=q", "u32": "=I", "f32": "=f"}

    def __init__(self, kernels, handle):
        self._kernels = kernels
        self._handle = handle
        self.variant = _library.ts_kernel_variant(handle).decode()
        self.launch_data = json.loads(_library.ts_kernel_launch_data(handle).decode())
        device = kernels.device
        tensors = {entry["name"]: entry for entry in self.launch_data["tensors"]}
        self._args_bytes = self.launch_data["args_bytes"]
        self._rules, self._scalars = [], []
        for member in self.launch_data["args"]:
            pack, offset = struct.Struct(self._PACK[member["type"]]), member["offset"]
            if member["type"] == "ptr":
                entry = tensors.get(member["name"], {"name": member["name"], "optional": True})
                self._rules.append((_TensorRule(entry, device.is_gpu, device._ordinal), pack, offset))
            else:
                self._scalars.append((member["name"], pack, offset))
        self._pitch_of = {rule.pitch: rule.name for rule, _, _ in self._rules if rule.pitch}
        # Members of tensors that this specialization does not have stay zero.
        self._needed = set(self.launch_data["extents"]) | self._pitch_of.keys() | {
            member["name"] for member in self.launch_data["args"] if member["type"] == "f32"}
        self._names = {rule.name for rule, _, _ in self._rules} | {name for name, _, _ in self._scalars}

    def prepare(self, **args):
        """Checks the arguments and fills the struct once; the Call can be launched many times. Keywords are
        the members of the family's args.h. Optional tensors and pitches of given tensors may be left out."""
        unknown = args.keys() - self._names
        if unknown:
            raise TunesmithError("%s has no argument %s; it takes %s" % (
                self.variant, ", ".join(sorted(unknown)), ", ".join(sorted(self._names))))
        data, keep, pitches = ctypes.create_string_buffer(self._args_bytes), [], {}
        for rule, pack, offset in self._rules:
            value = args.get(rule.name)
            if value is None and not rule.optional:
                raise TunesmithError("%s: the tensor %s is missing" % (self.variant, rule.name))
            address, pitch = rule.resolve(value, keep)
            pack.pack_into(data, offset, address)
            if rule.pitch and pitch is not None:
                pitches[rule.pitch] = pitch
        for name, pack, offset in self._scalars:
            value = args.get(name, pitches.get(name, None if name in self._needed else 0))
            if value is None:
                hint = " (%s does not tell it)" % self._pitch_of[name] if name in self._pitch_of else ""
                raise TunesmithError("%s: the argument %s is missing%s" % (self.variant, name, hint))
            try:
                pack.pack_into(data, offset, value)
            except (struct.error, OverflowError) as error:
                raise TunesmithError("%s: %s=%r: %s" % (self.variant, name, value, error)) from None
        call = Call(self, data, keep)
        if args.get("workspace") is None:
            call._provide_workspace()
        return call

    def launch(self, stream=None, **args):
        """prepare and launch. `stream`: an address, an object with `cuda_stream` (torch.cuda.Stream), or None
        for the default stream; on the CPU the work is done on return."""
        self.prepare(**args).launch(stream)

    def workspace_bytes(self, **args):
        """Bytes that `workspace` must have for these extents; tensors may be left out."""
        data = ctypes.create_string_buffer(self._args_bytes)
        for name, pack, offset in self._scalars:
            if name in args:
                pack.pack_into(data, offset, args[name])
        self._kernels._open_handle()
        return _library.ts_kernel_workspace_bytes(self._handle, data)

    def __repr__(self):
        return "<tunesmith.Kernel %s>" % self.variant


class Call:
    """A kernel with its arguments filled in. Holds the tensors it was given until it goes itself."""

    def __init__(self, kernel, data, keep):
        self._kernel, self._data, self._keep = kernel, data, keep

    def _provide_workspace(self):
        kernel = self._kernel
        kernel._kernels._open_handle()
        needed = _library.ts_kernel_workspace_bytes(kernel._handle, self._data)
        if needed == 0:
            return
        if kernel._kernels.device.is_gpu:
            raise TunesmithError("%s: needs workspace=, a tensor of %d bytes on the GPU" % (kernel.variant, needed))
        memory = ctypes.create_string_buffer(needed + 63)
        self._keep.append(memory)
        struct.pack_into("=Q", self._data, 0, (ctypes.addressof(memory) + 63) & ~63)  # always the first member

    def launch(self, stream=None):
        """Launches on the stream; see Kernel.launch."""
        kernel = self._kernel
        kernel._kernels._open_handle()
        _call(_library.ts_kernel_launch, kernel._handle, getattr(stream, "cuda_stream", stream), self._data,
              kernel._args_bytes)
