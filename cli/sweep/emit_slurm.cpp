#include "cli/sweep/emit_engines.h"
#include "cli/sweep/emit_text.h"

namespace pgram::sweep {

std::string emit_slurm(const Sweep& sweep, const Emission& emission) {
  static const std::string kScript = R"(#!/bin/bash
# The sweep "@TITLE@", @CASES@, as a Slurm array of @COUNT@.
# Written by pgram @VERSION@.
#
#     bash THIS-FILE      submits the array and, to run after it, the job that joins the shards' results
#     sbatch THIS-FILE    submits the array only
#
# Submit it from a folder in which the names below are right, on a file system that all nodes see. Every shard writes a
# file of its own and goes on where it was cut off: after a time limit or a lost node submit the same file again.
#
#SBATCH --job-name=@NAME@
#SBATCH --array=0-@LAST@
#SBATCH --cpus-per-task=@CORES@
#SBATCH --time=01:00:00
#SBATCH --requeue
# What your site may ask for; take away one '#':
##SBATCH --partition=PARTITION
##SBATCH --account=ACCOUNT
##SBATCH --mem=4G
set -euo pipefail

pgram=${PGRAM:-pgram}  # the program, on all nodes
sweep=@SWEEP@
out=@OUT@
shards=@SHARDS@

if [[ ${1:-} == merge ]]; then  # the job after the array
  files=()
  for ((shard = 0; shard < shards; ++shard)); do files+=("$out.shard$shard"); done
  "$pgram" sweep merge "$out" "${files[@]}"
elif [[ -n ${SLURM_ARRAY_TASK_ID:-} ]]; then  # a shard
  "$pgram" sweep "$sweep" --shard "$SLURM_ARRAY_TASK_ID/$shards" --threads "${SLURM_CPUS_PER_TASK:-@CORES@}" \
    --out "$out.shard$SLURM_ARRAY_TASK_ID"
else  # a person
  array=$(sbatch --parsable "$0")
  merge=$(sbatch --parsable --array=0 --cpus-per-task=1 --dependency="afterok:${array%%;*}" --kill-on-invalid-dep=yes \
    "$0" merge)
  echo "Submitted the array ${array%%;*} and, after it, the merge ${merge%%;*} into $out; see squeue."
fi
)";
  return filled_in(kScript, {{"TITLE", comment_text(sweep.name)},
                             {"CASES", counted(emission.cases, "case")},
                             {"COUNT", counted(emission.shards, "shard")},
                             {"SHARDS", std::to_string(emission.shards)},
                             {"LAST", std::to_string(emission.shards - 1)},
                             {"VERSION", emission.version},
                             {"NAME", plain_name(sweep.name, 63)},
                             {"CORES", std::to_string(kShardCores)},
                             {"SWEEP", shell_quoted(sweep.path)},
                             {"OUT", shell_quoted(emission.out)}});
}

}  // namespace pgram::sweep
