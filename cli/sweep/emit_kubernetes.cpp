#include <algorithm>
#include <filesystem>

#include "cli/sweep/emit_engines.h"
#include "cli/sweep/emit_text.h"
#include "core/base/errors.h"

namespace pgram::sweep {
namespace {

constexpr const char* kPlaceholderImage = "registry.example.com/pgram:latest";

/// Kubernetes puts variables in place of $(NAME) in arguments, and one $ in place of two.
std::string argument(const std::string& text, const std::string& field) {
  std::string doubled;
  for (const char c : text) doubled.append(c == '$' ? 2 : 1, c);
  return string_literal(doubled, field);
}

/// The sweep's file, to the last byte: as it is where YAML keeps it so, else as one long string.
std::string data_of(const std::string& text, const std::string& path) {
  const std::string literal = string_literal(text, path);  // refuses what is no UTF-8
  const auto changed = [](unsigned char c) { return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f; };
  const bool breaks = text.find("\u0085") != std::string::npos || text.find("\u2028") != std::string::npos ||
                      text.find("\u2029") != std::string::npos || text.find("\ufeff") != std::string::npos;
  if (breaks || !text.ends_with('\n') || std::ranges::any_of(text, changed)) return literal + "\n";
  std::string block = "|2+\n";
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end > at) block += "    " + text.substr(at, end - at);
    block += '\n';
    at = end + 1;
  }
  return block;
}

std::string merge_arguments(const std::string& out, uint32_t shards) {
  std::string lines;
  for (uint32_t shard = 0; shard < shards; ++shard)
    lines += "            - " + argument(out + ".shard" + std::to_string(shard), "--out") + "\n";
  return lines;
}

}  // namespace

std::string emit_kubernetes(const Sweep& sweep, const Emission& emission) {
  // Names are quoted: Kubernetes' YAML reads a plain "on", "no" or "1e3" as something else than a text.
  static const std::string kManifest =
      R"(# The sweep "@TITLE@", @CASES@, as an Indexed Job of Kubernetes with @COUNT@.
# Written by pgram @VERSION@.
#
#     kubectl apply -f THIS-FILE
#     kubectl wait --for=condition=complete --timeout=-1s job/@NAME@
#     kubectl patch job/@NAME@-merge -p '{"spec":{"suspend":false}}'
#     kubectl wait --for=condition=complete --timeout=-1s job/@NAME@-merge
#
# The results are then in the volume @NAME@-results:
# @TITLEOUT@
# Every shard writes a file of its own and goes on where it was cut off: pods that are lost are started again, and this
# file applied again, after its jobs were deleted, repeats nothing. Models and clusters that the sweep names by a path
# must be in the image.
apiVersion: v1
kind: ConfigMap
metadata:
  name: "@NAME@-sweep"
data:
  sweep.yaml: @TEXT@---
# Shards run on several nodes and all write here. A class of storage that one node mounts at a time (ReadWriteOnce) does
# for a cluster of one node.
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: "@NAME@-results"
spec:
  accessModes: [ReadWriteMany]
  resources:
    requests:
      storage: @GIBIBYTES@Gi
---
apiVersion: batch/v1
kind: Job
metadata:
  name: "@NAME@"
spec:
  completionMode: Indexed
  completions: @SHARDS@
  parallelism: @SHARDS@
  backoffLimit: @RETRIES@
  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - name: pgram
@IMAGE@
          command: [pgram]
          args:
            - sweep
            - /sweep/sweep.yaml
            - --shard
            - $(JOB_COMPLETION_INDEX)/@SHARDS@
            - --threads
            - "@CORES@"
            - --out
            - @SHARDFILE@
@MOUNTS@---
# Waits until it is told to go on (see above).
apiVersion: batch/v1
kind: Job
metadata:
  name: "@NAME@-merge"
spec:
  suspend: true
  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - name: pgram
@IMAGE@
          command: [pgram]
          args:
            - sweep
            - merge
            - @OUT@
@MERGEFILES@@MERGEMOUNTS@)";
  static const std::string kMounts = R"(          resources:
            requests:
              cpu: "@CORES@"
              memory: 2Gi
          volumeMounts:
            - name: sweep
              mountPath: /sweep
            - name: results
              mountPath: /results
      volumes:
        - name: sweep
          configMap:
            name: "@NAME@-sweep"
        - name: results
          persistentVolumeClaim:
            claimName: "@NAME@-results"
)";
  if (sweep.text.size() > 1'000'000)
    throw InputError(sweep.path, 0, "", "is too long for a ConfigMap of Kubernetes (1,000,000 bytes)");
  std::string image = "          image: " + string_literal(emission.image, "--image");
  if (emission.image.empty())
    image = std::string("          # A placeholder: name an image with pgram in it here, or by --image.\n") +
            "          image: " + kPlaceholderImage;
  const std::string out = "/results/" + std::filesystem::path(emission.out).filename().string();
  const std::string name = plain_name(sweep.name, 40);
  // A kilobyte a case, twice while shards are joined, and room to spare.
  const uint64_t gibibytes = 1 + emission.cases * 4096 / (uint64_t{1} << 30);
  const auto mounts = [&](uint32_t cores) {
    return filled_in(kMounts, {{"NAME", name}, {"CORES", std::to_string(cores)}});
  };
  std::string shard_file = argument(out, "--out");
  shard_file.insert(shard_file.size() - 1, ".shard$(JOB_COMPLETION_INDEX)");
  const std::string merge = merge_arguments(out, emission.shards);
  return filled_in(kManifest, {{"TITLE", comment_text(sweep.name)},
                               {"TITLEOUT", comment_text(out)},
                               {"CASES", counted(emission.cases, "case")},
                               {"COUNT", counted(emission.shards, "shard")},
                               {"SHARDS", std::to_string(emission.shards)},
                               {"RETRIES", std::to_string(std::max(6u, emission.shards))},
                               {"VERSION", emission.version},
                               {"NAME", name},
                               {"TEXT", data_of(sweep.text, sweep.path)},
                               {"GIBIBYTES", std::to_string(gibibytes)},
                               {"IMAGE", image},
                               {"CORES", std::to_string(kShardCores)},
                               {"SHARDFILE", shard_file},
                               {"MERGEFILES", merge},
                               {"OUT", argument(out, "--out")},
                               {"MOUNTS", mounts(kShardCores)},
                               {"MERGEMOUNTS", mounts(1)}});
}

}  // namespace pgram::sweep
