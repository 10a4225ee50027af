#include "cli/sweep/emit_engines.h"
#include "cli/sweep/emit_text.h"

namespace pgram::sweep {

std::string emit_ray(const Sweep& sweep, const Emission& emission) {
  static const std::string kProgram = R"(#!/usr/bin/env python3
# The sweep "@TITLE@", @CASES@, as @COUNT@ of Ray.
# Written by pgram @VERSION@. It needs only Ray (pip install ray) and, on all nodes, the program pgram.
#
#     python3 THIS-FILE                                              on this machine, or the cluster of RAY_ADDRESS
#     ray job submit -- sh -c 'cd FOLDER && python3 THIS-FILE'       on a cluster
#
# Run it in a folder in which the names below are right, on a file system that all nodes see. Every shard writes a file
# of its own and goes on where it was cut off: after a failure run the same file again.
import os
import subprocess
import sys

if os.path.basename(__file__) == "ray.py":
    sys.exit("ray.py: give this file another name; Python would take it for Ray itself")

import ray

PGRAM = os.environ.get("PGRAM", "pgram")
SWEEP = os.path.abspath(@SWEEP@)
OUT = os.path.abspath(@OUT@)
SHARDS = @SHARDS@
MOST_CORES = @CORES@  # of a shard


def shard_file(shard):
    return f"{OUT}.shard{shard}"


# A node that is lost is no error of the shard: Ray starts it anew elsewhere, and it goes on.
@ray.remote(max_retries=3)
def run_shard(shard, cores):
    command = [PGRAM, "sweep", SWEEP, "--shard", f"{shard}/{SHARDS}", "--threads", str(cores)]
    command += ["--out", shard_file(shard)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    return shard, done.returncode, done.stderr


def main():
    ray.init(log_to_driver=False)
    largest = max(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"])
    cores = max(1, int(min(MOST_CORES, largest)))
    todo = [run_shard.options(num_cpus=cores).remote(shard, cores) for shard in range(SHARDS)]
    failed = []
    for count in range(1, SHARDS + 1):
        ready, todo = ray.wait(todo)
        shard, code, errors = ray.get(ready[0])
        if code != 0:
            failed.append(shard)
            print(f"shard {shard} failed ({code}): {errors.strip()}", file=sys.stderr)
        print(f"{count} of {SHARDS} shards", flush=True)
    if failed:
        sys.exit(f"{len(failed)} of {SHARDS} shards failed; run this again to go on with them")
    files = [shard_file(shard) for shard in range(SHARDS)]
    missing = [file for file in files if not os.path.exists(file)]
    if missing:
        sys.exit(f"{missing[0]} is not seen here: the results must lie on a file system that all nodes share")
    subprocess.run([PGRAM, "sweep", "merge", OUT, *files], check=True)


if __name__ == "__main__":
    main()
)";
  return filled_in(kProgram, {{"TITLE", comment_text(sweep.name)},
                              {"CASES", counted(emission.cases, "case")},
                              {"COUNT", counted(emission.shards, "task")},
                              {"SHARDS", std::to_string(emission.shards)},
                              {"VERSION", emission.version},
                              {"CORES", std::to_string(kShardCores)},
                              {"SWEEP", string_literal(sweep.path, "SWEEP")},
                              {"OUT", string_literal(emission.out, "--out")}});
}

}  // namespace pgram::sweep
