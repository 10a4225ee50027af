// The Kubernetes manifest by its schema; and the checker, by manifests that Kubernetes would refuse.
#include "tests/sweep_engines/support/manifest.h"

#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "cli/sweep/emit.h"

namespace pgram::sweep {
namespace {

using engines::manifest_problems;

Sweep sweep_of(const std::string& text) {
  Sweep sweep;
  sweep.path = "a folder/tiny.yaml";
  sweep.name = "Tiny_sweep.1";
  sweep.text = text;
  return sweep;
}

std::string manifest(const std::string& text = "pgram_sweep: 1\nname: tiny\n", const std::string& out = "out/t.db") {
  return emit(sweep_of(text), {.engine = "k8s", .out = out, .cases = 100, .shards = 3, .image = "", .version = "1"});
}

TEST(Manifest, IsGoodByTheSchema) {
  EXPECT_EQ(manifest_problems(manifest()), std::vector<std::string>{});
  EXPECT_EQ(manifest_problems(manifest("a", "it's $(x) \"y\": z.db")), std::vector<std::string>{});
  for (const char* name : {"on", "1e3", "null", "17", "0x1f"}) {
    Sweep sweep = sweep_of("a\n");
    sweep.name = name;
    EXPECT_EQ(manifest_problems(emit(sweep, {.engine = "k8s", .out = "", .image = "1", .version = "1"})),
              std::vector<std::string>{});
  }
  Sweep sweep = sweep_of("a\n");
  sweep.name = std::string(59, '_') + "A";
  EXPECT_EQ(manifest_problems(emit(sweep, {.engine = "k8s",
                                           .out = "",
                                           .cases = 100'000'000,
                                           .shards = 10'000,
                                           .image = "r.example.com:5000/a/b@sha256:0",
                                           .version = "1"})),
            std::vector<std::string>{});
}

TEST(Manifest, SaysWhatItIsTold) {
  const std::vector<YAML::Node> documents = YAML::LoadAll(manifest());
  ASSERT_EQ(documents.size(), 4u);
  const YAML::Node job = documents[2]["spec"], merge = documents[3]["spec"];
  EXPECT_EQ(job["completionMode"].as<std::string>(), "Indexed");
  EXPECT_EQ(job["completions"].as<int>(), 3);
  EXPECT_EQ(job["parallelism"].as<int>(), 3);
  EXPECT_EQ(job["template"]["spec"]["containers"][0]["args"].as<std::vector<std::string>>(),
            (std::vector<std::string>{"sweep", "/sweep/sweep.yaml", "--shard", "$(JOB_COMPLETION_INDEX)/3", "--threads",
                                      "4", "--out", "/results/t.db.shard$(JOB_COMPLETION_INDEX)"}));
  EXPECT_EQ(merge["template"]["spec"]["containers"][0]["args"].as<std::vector<std::string>>(),
            (std::vector<std::string>{"sweep", "merge", "/results/t.db", "/results/t.db.shard0", "/results/t.db.shard1",
                                      "/results/t.db.shard2"}));
  EXPECT_TRUE(merge["suspend"].as<bool>());
  EXPECT_NE(manifest().find("# A placeholder: name an image"), std::string::npos);
}

/// A name with a dollar is no variable: $$ stands for one.
TEST(Manifest, DollarsAreNoVariables) {
  const std::vector<YAML::Node> documents = YAML::LoadAll(manifest("a\n", "$(HOME).db"));
  const YAML::Node arguments = documents[2]["spec"]["template"]["spec"]["containers"][0]["args"];
  EXPECT_EQ(arguments[7].as<std::string>(), "/results/$$(HOME).db.shard$(JOB_COMPLETION_INDEX)");
}

TEST(Manifest, HoldsTheSweepToTheLastByte) {
  for (const std::string text : {"a: 1\n", "a: 1", "a: 1\n\n\n", "\n\n a: 1\n\n  b\n", "# é\n\ta\n", "a\r\nb\r\n",
                                 "a\x01\n", "\u2028\n", "---\n...\n", " \n", "a: |\n  b\n", "\"@NAME@\"\n"}) {
    const std::string whole = manifest(text);
    EXPECT_EQ(YAML::LoadAll(whole)[0]["data"]["sweep.yaml"].as<std::string>(), text);
    EXPECT_EQ(manifest_problems(whole), std::vector<std::string>{});
  }
}

TEST(Manifest, CheckerRefuses) {
  struct Wrong {
    std::string was, is, problem;
  };
  const Wrong kWrong[] = {
      {"kind: ConfigMap", "kind: Configmap", "Configmap tiny-sweep-1-sweep: kind: expected Job, ConfigMap or"},
      {"apiVersion: batch/v1", "apiVersion: batch/v1beta1", "apiVersion: expected batch/v1, got 'batch/v1beta1'"},
      {"apiVersion: batch/v1\n", "", "apiVersion: required"},
      {"  name: \"tiny-sweep-1\"\n", "  name: off\n", "metadata.name: expected a string, got a boolean"},
      {"  name: \"tiny-sweep-1\"\n", "  name: Tiny\n", "metadata.name: expected a DNS name"},
      {"  name: \"tiny-sweep-1\"\n", "  name: " + std::string(62, 'a') + "\n",
       "metadata.name: too long for the names of its pods"},
      {"completionMode: Indexed", "completionMode: indexed", "completionMode: expected Indexed or NonIndexed"},
      {"completionMode", "completionmode", "spec.completionmode: unknown field"},
      {"  completions: 3\n", "", "spec.completions: required when completionMode is Indexed"},
      {"completions: 3", "completions: \"3\"", "spec.completions: expected an integer, got a string"},
      {"parallelism: 3", "parallelism: -1", "spec.parallelism: expected 0 to 2147483647, got '-1'"},
      {"parallelism: 3", "parallelism: 100001", "spec.parallelism: expected at most 100000"},
      {"backoffLimit: 6", "backoffLimit: many", "spec.backoffLimit: expected an integer, got a string"},
      {"backoffLimit: 6", "backoffLimit: 6\n  backoffLimit: 7", "spec.backoffLimit: is there twice"},
      {"suspend: true", "suspend: \"true\"", "spec.suspend: expected a boolean, got a string"},
      {"restartPolicy: OnFailure", "restartPolicy: Always", "restartPolicy: expected Never or OnFailure, got 'Always'"},
      {"      restartPolicy: OnFailure\n", "", "spec.template.spec.restartPolicy: required"},
      {"- \"4\"", "- 4", "args[5]: expected a string, got an integer"},
      {"command: [pgram]", "command: pgram", "command: expected a list, got a string"},
      {"command: [pgram]", "command: []", "command: must not be empty"},
      {"memory: 2Gi", "memory: 2GB", "requests.memory: expected a quantity, got '2GB'"},
      {"cpu: \"4\"", "cpus: \"4\"", "requests.cpus: unknown resource"},
      {"image: registry", "image: my registry", "image: expected an image without blanks"},
      {"          image: registry.example.com/pgram:latest\n", "", "containers[0].image: required"},
      {"- name: results\n              mountPath", "- name: result\n              mountPath",
       "volumeMounts[1].name: expected a volume of this file, got 'result'"},
      {"mountPath: /results", "mountPath: /sweep", "volumeMounts[1].mountPath: '/sweep' is used twice"},
      {"name: \"tiny-sweep-1-sweep\"\n        -", "name: tiny\n        -",
       "configMap.name: expected a ConfigMap of this file"},
      {"claimName: \"tiny-sweep-1-results\"", "claimName: none",
       "claimName: expected a PersistentVolumeClaim of this file"},
      {"accessModes: [ReadWriteMany]", "accessModes: [ReadWriteAll]", "spec.accessModes[0]: expected Read"},
      {"      storage: 1Gi", "      cpu: 1", "spec.resources.requests.storage: required"},
      {"  sweep.yaml: |2+\n", "  sweep.yaml: 1\n  other: |2+\n", "data.sweep.yaml: expected a string"},
      {"  name: \"tiny-sweep-1-merge\"", "  name: tiny-sweep-1", "metadata.name: is there twice"},
      {"  template:\n", "  template: x\n  other:\n", "spec.template: expected a map, got a string"},
      {"kind: Job", "kind: [", "no YAML: "},
  };
  for (const Wrong& wrong : kWrong) {
    std::string text = manifest();
    const size_t at = text.find(wrong.was);
    ASSERT_NE(at, std::string::npos) << wrong.was;
    text.replace(at, wrong.was.size(), wrong.is);
    std::string all;
    for (const std::string& problem : manifest_problems(text)) all += problem + "\n";
    EXPECT_NE(all.find(wrong.problem), std::string::npos) << wrong.is << "\n" << all;
  }
}

}  // namespace
}  // namespace pgram::sweep
