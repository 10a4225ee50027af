// Power, price and failures in device, node and cluster files.
#include <gtest/gtest.h>

#include "core/base/errors.h"
#include "core/cluster/cluster.h"
#include "core/cluster/library_files.h"
#include "tests/support/folder.h"

namespace pgram {
namespace {

class Files : public testing::Test {
 protected:
  /// A cluster of two nodes of two H100 with more keys.
  std::string cluster(const std::string& keys) const {
    return folder_.write("cluster.yaml",
                         "pgram_cluster: 1\nname: pair\ndevice: h100-sxm\ndevices_per_node: 2\nnodes: 2\n"
                         "inside: {kind: nvlink, bandwidth_gb_per_s: 400, latency_us: 1}\n"
                         "between: {kind: infiniband, bandwidth_gb_per_s: 50, latency_us: 1}\n" +
                             keys + "\n");
  }
  std::string device(const std::string& watts) const {
    return folder_.write(
        "device.yaml",
        "pgram_device: 1\nname: d\nsource: s\nmemory_gib: 1\nmemory_bandwidth_gb_per_s: 1\nfp32_tflops: 1\n"
        "bf16_tflops: 1\nmatmul_efficiency: 1\nattention_efficiency: 1\nmemory_efficiency: 1\nlaunch_us: 1\n" +
            watts + "\n");
  }

  const test::Folder folder_;
};

/// The error is one line that names file, line and field.
template <class Read>
void expect_refused(const std::string& file, int line, const std::string& field, const Read& read) {
  try {
    read(file);
    ADD_FAILURE() << "not refused: " << field;
  } catch (const InputError& error) {
    EXPECT_EQ(error.file(), file);
    EXPECT_EQ(error.line(), line) << error.what();
    EXPECT_EQ(error.field(), field);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

TEST_F(Files, ClustersSayPowerPriceAndFailures) {
  const Cluster pair = find_cluster(
      cluster("node_watts: 500\npue: 1.25\ndollars_per_gpu_hour: 2.5\n"
              "failures: {node_mtbf_hours: 1000, restart_seconds: 60, checkpoint_gb_per_s_per_node: 1.5}"));
  EXPECT_EQ(pair.operation.node_watts, 500);
  EXPECT_EQ(pair.operation.pue, 1.25);
  EXPECT_EQ(pair.operation.dollars_per_gpu_hour, 2.5);
  ASSERT_TRUE(pair.operation.failures);
  EXPECT_EQ(pair.operation.failures->node_mtbf, 3'600'000);
  EXPECT_EQ(pair.operation.failures->restart, 60);
  EXPECT_EQ(pair.operation.failures->checkpoint_bytes_per_second, 1.5e9);

  const Cluster silent = find_cluster(cluster(""));
  EXPECT_EQ(silent.operation.node_watts, 0);
  EXPECT_EQ(silent.operation.pue, 1);
  EXPECT_EQ(silent.operation.dollars_per_gpu_hour, 0);
  EXPECT_FALSE(silent.operation.failures);
}

TEST_F(Files, ADirectTopologySaysTheSame) {
  const std::string ring =
      folder_.write("ring.yaml",
                    "pgram_cluster: 1\nname: ring\ndevice: h100-sxm\ndevices_per_node: 4\nnode_watts: 700\n"
                    "dollars_per_gpu_hour: 1\ntopology: {kind: ring, devices: 8, link: {kind: nvlink, "
                    "bandwidth_gb_per_s: 50, latency_us: 1}}\n");
  EXPECT_EQ(find_cluster(ring).operation.node_watts, 700);
  EXPECT_EQ(find_cluster(ring).operation.dollars_per_gpu_hour, 1);
}

TEST_F(Files, BadFiguresOfClustersAreRefused) {
  const auto refused = [&](const std::string& keys, const std::string& field, int line = 8) {
    SCOPED_TRACE(keys);
    expect_refused(cluster(keys), line, field, [](const std::string& file) { find_cluster(file); });
  };
  for (const char* price : {"-1", "0", ".nan", "nan", ".inf", "1e300", "cheap", "", "[1]"})
    refused(std::string("dollars_per_gpu_hour: ") + price, "dollars_per_gpu_hour");
  for (const char* pue : {"0.9", "0", "-1", "11", ".nan"}) refused(std::string("pue: ") + pue, "pue");
  for (const char* watts : {"-5", "0", ".nan", "1e9"}) refused(std::string("node_watts: ") + watts, "node_watts");
  const auto failures = [&](const std::string& mtbf, const std::string& restart, const std::string& speed) {
    return "failures: {node_mtbf_hours: " + mtbf + ", restart_seconds: " + restart +
           ", checkpoint_gb_per_s_per_node: " + speed + "}";
  };
  for (const char* mtbf : {"0", "-1", ".nan", ".inf", "1e12"})
    refused(failures(mtbf, "1", "1"), "failures.node_mtbf_hours");
  for (const char* restart : {"-1", ".nan", "1e9"}) refused(failures("1", restart, "1"), "failures.restart_seconds");
  for (const char* speed : {"0", "-1", ".nan"})
    refused(failures("1", "1", speed), "failures.checkpoint_gb_per_s_per_node");
  refused("failures: {node_mtbf_hours: 1, restart_seconds: 1}", "failures.checkpoint_gb_per_s_per_node");
  refused("failures: {mtbf: 1}", "failures.node_mtbf_hours");
  refused("failures: {node_mtbf_hours: 1, restart_seconds: 1, checkpoint_gb_per_s_per_node: 1, often: 2}",
          "failures");  // the message names the key
  refused("dollars_per_hour: 3", "");
}

TEST_F(Files, DevicesSayWattsByState) {
  Device read = read_device(device("watts: {idle: 61.7, compute: 612.345678901234, communication: 300.1}"));
  EXPECT_EQ(read.watts.idle, 61.7);
  EXPECT_EQ(read.watts.compute, 612.345678901234);
  EXPECT_EQ(read.watts.communication, 300.1);
  EXPECT_TRUE(read.watts.known());
  const std::string copy = folder_ / "copy.yaml";
  write_device(read, copy);
  const Device again = read_device(copy);
  EXPECT_EQ(again.watts.idle, read.watts.idle);
  EXPECT_EQ(again.watts.compute, read.watts.compute);
  EXPECT_EQ(again.watts.communication, read.watts.communication);
  EXPECT_FALSE(read_device(device("")).watts.known());
  read.watts = {};
  write_device(read, copy);
  EXPECT_FALSE(read_device(copy).watts.known());
}

TEST_F(Files, BadWattsAreRefused) {
  const auto refused = [&](const std::string& watts, const std::string& field) {
    SCOPED_TRACE(watts);
    expect_refused(device(watts), 12, field, [](const std::string& file) { read_device(file); });
  };
  refused("watts: {idle: 100, compute: 600}", "watts.communication");
  refused("watts: {idle: 100, compute: 99, communication: 300}", "watts.compute");
  refused("watts: {idle: 100, compute: 600, communication: 50}", "watts.communication");
  refused("watts: {idle: 0, compute: 600, communication: 300}", "watts.idle");
  refused("watts: {idle: -1, compute: 600, communication: 300}", "watts.idle");
  refused("watts: {idle: .nan, compute: 600, communication: 300}", "watts.idle");
  refused("watts: {idle: 100, compute: 600, communication: 300, sleep: 1}", "watts");  // the message names the key
  refused("watts: 700", "watts");
}

TEST(Library, EveryDeviceSaysItsPower) {
  for (const std::string& name : library_names("devices")) {
    const Device device = find_device(name);
    EXPECT_TRUE(device.watts.known()) << name;
    EXPECT_LT(device.watts.idle, device.watts.communication) << name;
    EXPECT_LT(device.watts.communication, device.watts.compute) << name;
  }
  EXPECT_FALSE(this_machine(1).device.watts.known());
}

TEST(Library, ThatOfDgxH100IsWhatItsSourcesSay) {
  const Cluster cluster = find_cluster("dgx-h100:2048");
  // 419 interruptions of 2,048 nodes in 54 days, to three digits.
  EXPECT_NEAR(cluster.operation.failures->node_mtbf / 3600, 54.0 * 24 * 2048 / 419, 5);
  EXPECT_EQ(cluster.operation.dollars_per_gpu_hour, 49.24 / 8);
  // Training takes 76 % of the 10.2 kW on the label, all states of the GPUs together.
  EXPECT_NEAR(8 * cluster.device.watts.compute + cluster.operation.node_watts, 0.76 * 10'200, 10);
  EXPECT_EQ(find_cluster("fat-tree-dgx-h100").operation.failures->node_mtbf, cluster.operation.failures->node_mtbf);
}

}  // namespace
}  // namespace pgram
