"""A script outside the tree: the same kernel from Python, on plain arrays. DATABASE"""
import array
import sys

import tunesmith

T, V, D = 8, 100, 32
table = array.array("f", range(V * D))
ids = array.array("i", [i * 37 % V for i in range(T)])
out = array.array("f", bytes(4 * T * D))
device = tunesmith.Device("cpu")
kernels = tunesmith.Kernels(device, sys.argv[1])
kernel = kernels.find("embedding t=8 v=100 d=32 dtype=fp32")
kernel.launch(ids=ids, table=table, out=out, t=T, v=V, d=D, table_pitch=D, out_pitch=D)
assert list(out) == [table[ids[i // D] * D + i % D] for i in range(T * D)]
print("version", tunesmith.version())
print("kernel", kernel.variant)
device.close()
