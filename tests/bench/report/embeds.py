#!/usr/bin/python3
"""Embedding tables of other widths for `infer --embeds`, as one would bring word vectors of another model.

    tests/bench/report/embeds.py MODEL_DIR OUT_DIR [--widths 32,64,128]

Writes OUT_DIR/same.safetensors, the model's own table without a projection, and for each width OUT_DIR/width-N.safetensors:
vectors of N numbers a token, and the projection into the model's width. The vectors are the best of N numbers that the own
table has (singular value decomposition); the projection is fitted to them as to any word vectors, by least squares.
Needs numpy (Debian's comes with python3-matplotlib).
"""
import argparse
import json
import pathlib
import struct

import numpy

OWN_NAMES = ("backbone.embeddings.weight", "backbone.embedding.weight")


def read_own(directory):
    """The model's own table as fp32 [tokens, hidden]."""
    data = (directory / "model.safetensors").read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    entry = next(header[name] for name in OWN_NAMES if name in header)
    begin, end = entry["data_offsets"]
    raw = data[start + begin:start + end]
    if entry["dtype"] == "BF16":  # the upper half of an fp32
        values = (numpy.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    else:
        values = numpy.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[entry["dtype"]])
    return values.astype("<f4").reshape(entry["shape"])


def fit_projection(vectors, own):
    """The matrix [hidden, width] that takes each vector nearest to what the model knows of its token."""
    return numpy.linalg.lstsq(vectors, own, rcond=None)[0].T


def write(path, tensors):
    """A safetensors file of fp32 arrays."""
    header, data = {}, b""
    for name, array in tensors.items():
        array = numpy.ascontiguousarray(array, dtype="<f4")
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--widths", default="16,32,64,96,128,192,256", help="commas between")
    args = parser.parse_args()
    own = read_own(args.model)
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out / "same.safetensors", {"embeddings.weight": own})
    left, strength, _ = numpy.linalg.svd(own.astype("f8"), full_matrices=False)
    for width in map(int, args.widths.split(",")):
        vectors = left[:, :width] * strength[:width]
        write(args.out / f"width-{width}.safetensors",
              {"embeddings.weight": vectors, "projection.weight": fit_projection(vectors, own)})


if __name__ == "__main__":
    main()
