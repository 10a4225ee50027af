#!/usr/bin/env python3
"""Fits a device file's matmul_efficiency, memory_efficiency and launch_us to measured matrix products, and
attention_efficiency to measured prefill attention. Used on 2026-11-25 for models/devices/{a100-80-sxm,h100-sxm,b200}.yaml.

  fit_device.py PEAK_TFLOPS BANDWIDTH_GB_PER_S GEMM.csv.gz [ATTENTION.csv.gz]

Columns: m,n,k,time_us and batch,seq_or_context_len,q_heads,head_dim,time_us (NVIDIA aiconfigurator's, bf16)."""
import csv
import gzip
import itertools
import math
import statistics
import sys


def rows(path):
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def fit_products(peak, bandwidth, table):
    """Least mean |log(predicted / measured)| of launch + max(FLOPs, bytes) on a grid."""
    products = [(2 * m * n * k / peak, 2 * (m * n + n * k + m * k) / bandwidth, seconds)
                for m, n, k, seconds in ((int(r["m"]), int(r["n"]), int(r["k"]), float(r["time_us"]) * 1e-6)
                                         for r in table)]

    def error(candidate):
        matmul, memory, launch = candidate
        return statistics.fmean(abs(math.log((launch * 1e-6 + max(a / matmul, b / memory)) / seconds))
                                for a, b, seconds in products)

    grid = itertools.product([x / 100 for x in range(40, 96, 2)], [x / 100 for x in range(40, 100, 4)],
                             [0, 1, 2, 3, 4, 5, 6, 8])
    best = min(grid, key=error)
    print("matmul_efficiency %.2f, memory_efficiency %.2f, launch_us %d: mean error %.1f %% over %d shapes"
          % (*best, 100 * error(best), len(products)))


def fit_attention(peak, table):
    """Median share of peak where the work is large, counting the causal half of the square."""
    shares = []
    for r in table:
        batch, sequence, heads, size = (int(r[c]) for c in ("batch", "seq_or_context_len", "q_heads", "head_dim"))
        flops = 2 * batch * sequence * sequence * heads * size
        if flops > 5e10:
            shares.append(flops / (float(r["time_us"]) * 1e-6) / peak)
    print("attention_efficiency %.2f: median of %d shapes" % (statistics.median(shares), len(shares)))


if __name__ == "__main__":
    peak, bandwidth = float(sys.argv[1]) * 1e12, float(sys.argv[2]) * 1e9
    fit_products(peak, bandwidth, rows(sys.argv[3]))
    if len(sys.argv) > 4:
        fit_attention(peak, rows(sys.argv[4]))
