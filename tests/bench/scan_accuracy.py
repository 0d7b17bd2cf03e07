#!/usr/bin/env python3
"""Relative errors of the selective scan against float64, ours and mamba_ssm's side by side, of y and of the last state.

Same inputs for both, for every dtype: step sizes of 2.5e-3 to 0.13, and slow decay, steps of 1e-3 over 65536 tokens, where a decay
that is off by e moves the state by e / (1 - decay). Ours is whatever the database chose for the problem.
Writes tests/bench/results/<device>-scan-accuracy.json and a table.          Usage: scan_accuracy.py --db FILE [--out DIR]
"""
import argparse
import datetime
import json
import math
import pathlib

import torch

import peers
import tunesmith  # found through peers

SLOW = math.log(math.expm1(1e-3))  # softplus of it is 1e-3
CASES = [("usual", (1, 1536, 2048), (-6, -2)), ("slow decay", (1, 1536, 65536), (SLOW, SLOW))]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def errors(kernels, name, shape, steps):
    b, d, l = shape
    inputs = peers.scan_inputs(b, d, l, 16, DTYPES[name], steps)
    y, h = peers.scan_reference(*inputs)
    args = peers.scan_args(*inputs, h_last=torch.empty(b, d, 16, device="cuda"))
    kernel = kernels.find(f"selective_scan b={b} l={l} d={d} n=16 g=1 dtype={name} gate=1 softplus=1 varlen=0 layout=channel_last")
    workspace = torch.empty(kernel.workspace_bytes(b=b, l=l, d=d) + 256, device="cuda", dtype=torch.uint8)
    kernel.prepare(workspace=workspace.data_ptr(), **args).launch(torch.cuda.current_stream())
    row = dict(dtype=name, variant=kernel.variant, y=peers.relative_error(args["out"].view(y.shape), y),
               h_last=peers.relative_error(args["h_last"], h))
    if peers.selective_scan_fn:
        turned = peers.time_innermost(*inputs)
        peer_y, peer_h = peers.selective_scan_fn(*turned, True, return_last_state=True)
        row.update(peer_y=peers.relative_error(peer_y.transpose(1, 2), y), peer_h_last=peers.relative_error(peer_h, h))
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--db", required=True)
    parser.add_argument("--out", type=pathlib.Path, default=peers.ROOT / "tests/bench/results")
    options = parser.parse_args()
    torch.manual_seed(0)
    kernels = tunesmith.Kernels(tunesmith.Device("cuda"), options.db)
    report = dict(device=torch.cuda.get_device_name(), driver=peers.ask_driver("driver_version"), date=datetime.date.today().isoformat(), rows=[])
    print(f"{report['device']}\n{'case':12} {'dtype':5} {'y':>9} {'mamba_ssm':>9} {'ratio':>6}  {'h_last':>9} {'mamba_ssm':>9} {'ratio':>6}  variant")
    for case, shape, steps in CASES:
        for name in DTYPES:
            row = dict(case=case, **errors(kernels, name, shape, steps))
            report["rows"].append(row)
            cells = "  ".join(f"{row[key]:9.2e} {row['peer_' + key]:9.2e} {row[key] / row['peer_' + key]:6.2f}" if "peer_" + key in row
                              else f"{row[key]:9.2e} {'-':>9} {'-':>6}" for key in ("y", "h_last"))
            print(f"{case:12} {name:5} {cells}  {row['variant']}", flush=True)
    path = options.out / f"{report['device'].lower().replace(' ', '-')}-scan-accuracy.json"
    options.out.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
