#!/usr/bin/env python3
"""Qwen2-VL of Hugging Face transformers on this GPU, for comparison with `infer --random-weights --bench`: vision tower and
whole prefill of one square image, and decoding, bf16, sdpa attention, random weights of a configuration. One JSON object a
figure. Medians of several runs, each waited for.

    tests/bench/qwen_peer.py [CONFIG_DIR] [--sides 448,1008] [--new-tokens 64]
"""
import argparse
import json
import pathlib
import statistics
import time

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]


def measure(call, least=5, seconds=2.0):
    """Median seconds of a call, after two that only warm up."""
    call(), call()
    times, begin = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - begin < seconds:
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default=ROOT / "tests/bench/configs/qwen2vl-2b")
    parser.add_argument("--sides", default="448,1008,2016")
    parser.add_argument("--new-tokens", type=int, default=64)
    args = parser.parse_args()
    config = transformers.AutoConfig.from_pretrained(args.config)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = transformers.Qwen2VLForConditionalGeneration._from_config(config, attn_implementation="sdpa").eval()
    torch.set_default_dtype(torch.float32)
    visual = getattr(model, "visual", None) or model.model.visual
    print(json.dumps({"figure": "load", "device": torch.cuda.get_device_name(), "torch": torch.__version__,
                      "transformers": transformers.__version__}), flush=True)
    with torch.inference_mode():
        for side in map(int, args.sides.split(",")):
            patches = (side // 14) ** 2
            pixels = torch.randn(patches, 1176, device="cuda", dtype=torch.bfloat16)
            grid = torch.tensor([[1, side // 14, side // 14]], device="cuda")
            seconds = measure(lambda: visual(pixels, grid_thw=grid))
            print(json.dumps({"figure": "vision", "patches": patches, "vision_s": seconds}), flush=True)
            ids = [config.vision_start_token_id] + [config.image_token_id] * (patches // 4) + [config.vision_end_token_id]
            ids = torch.tensor([ids + [i * 7919 % 150000 for i in range(32)]], device="cuda")
            types = (ids == config.image_token_id).int()
            inputs = {"input_ids": ids, "pixel_values": pixels, "image_grid_thw": grid}
            if int(transformers.__version__.split(".")[0]) >= 5:  # positions are computed from these there
                inputs["mm_token_type_ids"] = types
            seconds = measure(lambda: int(model(**inputs, logits_to_keep=1).logits[0, -1].argmax()))
            print(json.dumps({"figure": "prefill", "prefill_tokens": ids.shape[1], "prefill_s": seconds}), flush=True)
        text = torch.tensor([[i * 7919 % 150000 for i in range(512)]], device="cuda")

        def generate(count):
            return model.generate(input_ids=text, attention_mask=torch.ones_like(text), max_new_tokens=count, min_new_tokens=count,
                                  do_sample=False)

        short = measure(lambda: generate(1), least=3)
        long = measure(lambda: generate(args.new_tokens + 1), least=3)
        print(json.dumps({"figure": "decode", "decode_tokens": args.new_tokens,
                          "decode_tokens_per_s": args.new_tokens / (long - short)}), flush=True)


if __name__ == "__main__":
    main()
