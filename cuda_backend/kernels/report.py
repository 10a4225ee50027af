#!/usr/bin/env python3
"""Writes docs/kernels.md: what nvcc made of our kernels, and the bytes that they move against the minimum.

    cuda_backend/kernels/report.py            write docs/kernels.md
    cuda_backend/kernels/report.py --check    compile, compare with docs/kernels.md, write nothing

Exit status 1 if a kernel spills registers, has no line in the table of bytes, or (--check) the page is not up to date.
"""
import argparse
import math
import pathlib
import re
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
PAGE = ROOT / "docs" / "kernels.md"

# Limits of one multiprocessor: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability". Registers
# are given to warps by 256, shared memory to blocks by 128 bytes beside 1 KiB of the system's.
ARCHITECTURES = {
    80: {"warps": 64, "blocks": 32, "registers": 65536, "shared": 164 * 1024},
    90: {"warps": 64, "blocks": 32, "registers": 65536, "shared": 228 * 1024},
    100: {"warps": 64, "blocks": 32, "registers": 65536, "shared": 228 * 1024},
}

# The shape that the formulas are evaluated for: one layer of Llama 3 8B (GPT-2's kernels at the same width), one sequence
# of 8,192 tokens; the loss over the whole vocabulary; the optimizer over one layer's parameters.
SHAPE = {
    "n": 8192,  # tokens
    "s": 8192,  # tokens of a sequence
    "h": 4096,  # hidden width
    "f": 14336,  # feed-forward width
    "a": 32,  # query heads
    "g": 8,  # key and value heads
    "d": 128,  # head size
    "q": (32 + 2 * 8) * 128,  # queries, keys and values of a token
    "v": 128256,  # vocabulary
    "p": 218112000,  # parameters
    "c": 64,  # chunks of rows in column sums
    "b": 13314,  # chunks of parameters (16,384 each)
    "r": 32,  # rows of a tile in attention (forward)
    "t": 16,  # rows of a tile in attention (backward)
    "m": 4,  # ranks that share a card
    "e": 8192 * 4096,  # elements of a collective on every rank
}

# Kernel: (elements of 4 bytes that must be moved: every input read once, every output written once, what is added to read
# as well; elements that its threads ask for; why more).
BYTES = {
    "embed_kernel": ("n + 2*n*h", "n + 2*n*h", ""),
    "token_chains_kernel": ("3*n", "3*n + n*n/256", "every block reads all tokens"),
    "embed_dw_kernel": ("2*n + 3*n*h", "3*n + 3*n*h", "all tokens distinct"),
    "positions_kernel": ("2*n*h + s*h", "3*n*h", "one sequence"),
    "positions_dw_kernel": ("n*h + 2*s*h", "n*h + 2*s*h", ""),
    "rms_norm_kernel": ("2*n*h + h + n", "4*n*h + n", "the row again (from L1), and the gains for each row"),
    "rms_norm_dx_kernel": ("4*n*h + h + n", "8*n*h + n", "dy, x and the gains twice; with a gradient added to"),
    "layer_norm_kernel": ("2*n*h + 2*h + 2*n", "6*n*h + 2*n", "the row three times, gain and shift for each row"),
    "layer_norm_dx_kernel": ("4*n*h + h + 2*n", "8*n*h + 2*n", "dy, x and the gains twice; with a gradient added to"),
    "column_sums_kernel": ("2*n*h + n + 2*h", "2*n*h + n*h/128 + 2*c*h + 2*h", "gain of an RMS norm; partial sums"),
    "head_norm_kernel": ("2*n*q + 2*d", "2*n*q + n*(a + g)*d", "gains for each head"),
    "head_norm_dx_kernel": ("3*n*q + 2*d - n*g*d", "3*n*q + n*(a + g)*d - n*g*d", "gains for each head"),
    "head_norm_dw_kernel": ("2*n*(a + g)*d + 4*d", "2*n*(a + g)*d + 2*c*d", "partial sums"),
    "rope_kernel": ("2*n*(a + g)*d", "2*n*(a + g)*d", ""),
    "attention_kernel": ("n*q + n*a*d + n*a", "2*n*a*d + n*a + n*a*d*s/r", "keys and values for each tile of queries"),
    "attention_dq_kernel": (
        "n*q + 3*n*a*d + 2*n*a",
        "4*n*a*d + 2*n*a + n*a*d*s/t",
        "keys and values for each tile of queries",
    ),
    "attention_dkv_kernel": (
        "n*q + n*a*d + 2*n*g*d + 2*n*a",
        "4*n*g*d + n*a*d*s/t + n*a*s/t",
        "queries and their gradients for each tile of keys",
    ),
    "bias_kernel": ("2*n*h + h", "3*n*h", "the bias for each row"),
    "swiglu_kernel": ("3*n*f", "3*n*f", ""),
    "swiglu_bwd_kernel": ("5*n*f", "5*n*f", ""),
    "gelu_kernel": ("2*n*f", "2*n*f", ""),
    "gelu_bwd_kernel": ("3*n*f", "3*n*f", ""),
    "add_kernel": ("3*n*h", "3*n*h", ""),
    "ce_max_kernel": ("n*v + n", "n*v + n", ""),
    "ce_sum_kernel": ("n*v + 4*n", "n*v + 5*n", "the target's logit again"),
    "ce_loss_kernel": ("2*n + 2", "2*n + 2", ""),
    "ce_bwd_kernel": ("2*n*v + 3*n", "2*n*v + 3*n*v/1024", "maximum, sum and target for each block"),
    "squares_kernel": ("p + 2*b", "p + 2*b", ""),
    "add_squares_kernel": ("2*b + 2", "2*b + 2", ""),
    "clip_kernel": ("3", "3", ""),
    "adamw_kernel": ("7*p", "7*p", ""),
    "sgd_kernel": ("3*p", "3*p", ""),
    "all_reduce_kernel": ("2*m*e", "2*m*e", ""),
    "all_gather_kernel": ("m*e/m + m*e", "m*e/m + m*e", ""),
    "reduce_scatter_kernel": ("m*e + m*e/m", "m*e + m*e/m", ""),
}


def kernel_name(mangled):
    """_ZN5pgram7kernels15rms_norm_kernelILi4EEEv... -> rms_norm_kernel<4>; enumerators stay numbers."""
    prefix = "_ZN5pgram7kernels"
    if not mangled.startswith(prefix):
        sys.exit(f"report.py: {mangled} is not in namespace pgram::kernels")
    length = re.match(r"\d+", mangled[len(prefix):]).group()
    start = len(prefix) + len(length)
    name, rest = mangled[start:start + int(length)], mangled[start + int(length):]
    arguments = []
    if rest.startswith("I"):
        rest = rest[1:]
        while not rest.startswith("E"):
            found = re.match(r"L(?:[ijb]|NS\w+?E)(\d+)E|NS\d*_\d+([A-Za-z_]+?)E", rest)
            if not found:
                sys.exit(f"report.py: cannot read the template arguments of {mangled}")
            arguments.append(found.group(1) or found.group(2))
            rest = rest[found.end():]
    return name + (f"<{', '.join(arguments)}>" if arguments else "")


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"report.py: {' '.join(map(str, command))} failed:\n{result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def compile_all(nvcc, source, folder):
    """Of each kernel of a source: block size (__launch_bounds__) and {architecture: what ptxas says}."""
    common = [nvcc, "-std=c++17", "-O3", f"-I{ROOT}", source]
    ptx = folder / (source.stem + ".ptx")
    run(common + ["-arch=compute_100", "-ptx", "-o", ptx])
    text = ptx.read_text()
    kernels = {}
    for entry in re.finditer(r"\.entry (\w+)\(.*?\{", text, re.S):
        bound = re.search(r"\.maxntid (\d+)", entry.group())
        if not bound:
            sys.exit(f"report.py: kernel {kernel_name(entry.group(1))} has no __launch_bounds__")
        kernels[entry.group(1)] = {"block": int(bound.group(1))}
    for architecture in ARCHITECTURES:
        said = run(common + [f"-arch=sm_{architecture}", "-Xptxas", "-v", "-cubin", "-o", folder / "x.cubin"])
        pattern = (r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
                   r"(\d+) bytes spill loads\n[^\n]*Used (\d+) registers([^\n]*)")
        for found in re.finditer(pattern, said, re.S):
            shared = re.search(r"(\d+) bytes smem", found.group(6))
            kernels[found.group(1)][architecture] = {
                "stack": int(found.group(2)),
                "spills": int(found.group(3)) + int(found.group(4)),
                "registers": int(found.group(5)),
                "shared": int(shared.group(1)) if shared else 0,
            }
    return {kernel_name(mangled): kernel for mangled, kernel in kernels.items()}


def occupancy(limits, block, registers, shared):
    """Warps that fit a multiprocessor together, of those that it can have."""
    warps = math.ceil(block / 32)
    registers_per_warp = math.ceil(registers * 32 / 256) * 256
    by_registers = limits["registers"] // registers_per_warp // 4 * 4 // warps
    by_shared = limits["shared"] // (math.ceil(shared / 128) * 128 + 1024)
    blocks = min(limits["blocks"], limits["warps"] // warps, by_registers, by_shared)
    return blocks * warps / limits["warps"]


def size(elements):
    size_in_bytes = 4 * elements
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_in_bytes >= scale:
            return f"{size_in_bytes / scale:.4g} {unit}"
    return f"{size_in_bytes:.4g} B"


def page(kernels, version):
    lines = [
        "# Kernels",
        "",
        "What the compiler made of the kernels in `cuda_backend/kernels`, and how many bytes they move. Written by",
        "`cuda_backend/kernels/report.py`; make it again with that command (it needs `nvcc` and no GPU).",
        f"Compiler: {version}.",
        "",
        "Nothing here is a measurement on a GPU.",
        "",
        "## Registers, shared memory, occupancy",
        "",
        "For sm_80 / sm_90 / sm_100: registers per thread; theoretical occupancy, the share of a multiprocessor's 64 warps",
        "that blocks of the largest size in use can fill (registers, static shared memory and block size against the limits",
        "of the CUDA C++ Programming Guide). Kernels that read rows use smaller blocks for narrow ones. No kernel spills",
        "registers: the build stops at one that does, and so does the script. `<4>` in the first place is the form with",
        "16-byte accesses, `<1>` the one for odd widths and unaligned tensors; attention's number is the padded head size.",
        "",
        "| kernel | block | registers | shared memory, bytes | stack, bytes | occupancy |",
        "|---|---|---|---|---|---|",
    ]
    for name, kernel in sorted(kernels.items()):
        of = [kernel[architecture] for architecture in ARCHITECTURES]
        shares = [
            occupancy(limits, kernel["block"], k["registers"], k["shared"])
            for limits, k in zip(ARCHITECTURES.values(), of)
        ]
        stacks = [k["stack"] for k in of]
        lines.append(f"| `{name}` | {kernel['block']} | {' / '.join(str(k['registers']) for k in of)} | "
                     f"{of[0]['shared']} | {' / '.join(map(str, stacks)) if any(stacks) else 0} | "
                     f"{' / '.join(f'{share:.0%}' for share in shares)} |")
    shape = SHAPE
    lines += [
        "",
        "The stack of `rope_kernel` is sincosf's reduction of large angles, which ours never are.",
        "",
        "## Bytes",
        "",
        "*Minimum*: every input read once, every output written once, a sum's old value read. *Asked*: what the threads ask",
        "of the caches, all repeated reads counted; what is read again is near by: a row in its block's L1, gains and tiles in",
        "L2. Both in elements of 4 bytes, and evaluated for "
        f"n = s = {shape['n']} tokens, h = {shape['h']}, f = {shape['f']},",
        f"a = {shape['a']} query and g = {shape['g']} key heads of d = {shape['d']} (q = {shape['q']}), "
        f"v = {shape['v']}, p = {shape['p']} parameters in",
        f"b = {shape['b']} chunks; c = {shape['c']} chunks of rows; tiles of r = {shape['r']} and t = {shape['t']} rows; "
        f"collectives of e = {shape['e']}",
        f"elements on m = {shape['m']} ranks of one card.",
        "",
        "| kernel | minimum | asked | bytes: minimum | asked | ratio | why |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in sorted(BYTES):
        minimum, asked, why = BYTES[name]
        least, all_of_it = (eval(formula, {"__builtins__": {}}, SHAPE) for formula in (minimum, asked))
        lines.append(f"| `{name}` | {minimum} | {asked} | {size(least)} | {size(all_of_it)} | {all_of_it / least:.2f} | "
                     f"{why} |".replace("*", "\\*"))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nvcc", default="nvcc")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    kernels = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(FOLDER.glob("*.cu")):
            kernels.update(compile_all(options.nvcc, source, pathlib.Path(folder)))
    errors = []
    for name, kernel in kernels.items():
        for architecture in ARCHITECTURES:
            if kernel[architecture]["spills"]:
                errors.append(f"{name} spills {kernel[architecture]['spills']} bytes on sm_{architecture}")
    names = {name.split("<")[0] for name in kernels}
    errors += [f"{name} has no line in the table of bytes" for name in sorted(names - set(BYTES))]
    errors += [f"the table of bytes has {name}, which is no kernel" for name in sorted(set(BYTES) - names)]
    version = re.search(r"release ([\d.]+), V[\d.]+", run([options.nvcc, "--version"])).group()
    text = page(kernels, f"nvcc {version}") if not errors else ""
    if options.check:
        if text and (not PAGE.exists() or PAGE.read_text() != text):
            errors.append(f"{PAGE.relative_to(ROOT)} is not up to date: run {pathlib.Path(__file__).name}")
    elif text:
        PAGE.write_text(text)
    for error in errors:
        print("report.py: " + error, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
