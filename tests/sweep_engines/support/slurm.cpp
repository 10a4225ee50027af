#include "tests/sweep_engines/support/slurm.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <random>
#include <set>

#include "tests/support/free_port.h"

namespace pgram::engines {
namespace {

// Debian keeps daemons where not everybody's path goes.
std::string daemon_of(const std::string& name) {
  for (const char* folder : {"/usr/sbin/", "/usr/local/sbin/", "/usr/bin/", "/usr/local/bin/"})
    if (is_installed(folder + name)) return folder + name;
  return "";
}

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  const std::string whole = name.data();
  return whole.substr(0, whole.find('.'));
}

std::string last_lines(const std::string& text) {
  constexpr size_t kMost = 2000;
  return text.size() <= kMost ? text : "..." + text.substr(text.size() - kMost);
}

}  // namespace

Slurm::Slurm(const Folder& folder) : folder_(folder) {
  for (const char* daemon : {"munged", "slurmctld", "slurmd"}) {
    if (daemon_of(daemon).empty()) {
      why_not_ = std::string(daemon) + " is not installed (Debian's munge, slurmctld and slurmd)";
      return;
    }
  }
  for (const char* client : {"sbatch", "squeue", "sinfo"}) {
    if (!is_installed(client)) {
      why_not_ = std::string(client) + " is not installed (Debian's slurm-client)";
      return;
    }
  }
  if (!start()) why_not_ = "Slurm cannot be started here:\n" + logs();
}

bool Slurm::start() {
  std::string key(1024, '\0');
  std::random_device random;
  for (char& c : key) c = static_cast<char>(random());
  const std::string key_file = folder_.write("munge.key", key);
  std::filesystem::permissions(key_file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  folder_.write("slurm.conf", configuration());
  // Nothing uses cgroups; this one looks for none when it is loaded.
  folder_.write("cgroup.conf", "CgroupPlugin=cgroup/v1\n");
  for (const char* name : {"state", "spool"}) std::filesystem::create_directory(folder_ / name);
  environment_ = {"SLURM_CONF=" + (folder_ / "slurm.conf")};

  const auto begin = [&](const std::string& name, std::vector<std::string> options) {
    options.insert(options.begin(), daemon_of(name));
    daemons_.push_back(std::make_unique<Process>(folder_, name, options, environment_));
  };
  begin("munged", {"--foreground", "--force", "--key-file=" + key_file, "--socket=" + (folder_ / "munge.sock"),
                   "--pid-file=" + (folder_ / "munge.pid"), "--seed-file=" + (folder_ / "munge.seed"),
                   "--log-file=" + (folder_ / "munge.log"), "--num-threads=2"});
  if (!within(20, [&] { return std::filesystem::exists(folder_ / "munge.sock") || !daemons_[0]->runs(); }))
    return false;
  begin("slurmctld", {"-D", "-f", folder_ / "slurm.conf"});
  begin("slurmd", {"-D", "-f", folder_ / "slurm.conf", "-N", host_name()});
  bool idle = false;
  within(40, [&] {
    for (const auto& daemon : daemons_)
      if (!daemon->runs()) return true;
    idle = run(folder_, {"sinfo", "--noheader", "--format=%T"}, environment_, 10).out == "idle\n";
    return idle;
  });
  return idle;
}

Slurm::~Slurm() {
  // slurmd first, so that it starts no job anew.
  for (auto daemon = daemons_.rbegin(); daemon != daemons_.rend(); ++daemon) {
    (*daemon)->signal(SIGTERM);
    (*daemon)->wait(5);
  }
  folder_.kill_all();
}

std::string Slurm::configuration() const {
  const auto [controller_port, node_port] = test::free_ports<2>();
  const passwd* user = ::getpwuid(::geteuid());
  const std::string name = user ? user->pw_name : "root", host = host_name();
  const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  std::string text;
  const auto set = [&](const std::string& key, const std::string& value) { text += key + "=" + value + "\n"; };
  set("ClusterName", "test");
  set("SlurmctldHost", host + "(127.0.0.1)");
  set("SlurmUser", name);
  set("SlurmdUser", name);
  set("SlurmctldPort", std::to_string(controller_port));
  set("SlurmdPort", std::to_string(node_port));
  set("AuthType", "auth/munge");
  set("CredType", "cred/munge");
  set("AuthInfo", "socket=" + (folder_ / "munge.sock"));
  set("StateSaveLocation", folder_ / "state");
  set("SlurmdSpoolDir", folder_ / "spool");
  set("SlurmctldPidFile", folder_ / "slurmctld.pid");
  set("SlurmdPidFile", folder_ / "slurmd.pid");
  set("ProctrackType", "proctrack/pgid");
  set("TaskPlugin", "task/none");
  set("SwitchType", "switch/none");
  set("MpiDefault", "none");
  set("JobAcctGatherType", "jobacct_gather/none");
  set("AccountingStorageType", "accounting_storage/none");
  set("SelectType", "select/cons_tres");
  set("SelectTypeParameters", "CR_CPU");
  set("SchedulerParameters", "batch_sched_delay=0,sched_interval=1,bf_interval=1");
  set("ReturnToService", "2");
  // As many as an emitted shard asks for, at least; what this machine has does not matter.
  set("SlurmdParameters", "config_overrides");
  set("NodeName", host + " NodeAddr=127.0.0.1 CPUs=" + std::to_string(std::max(8L, cores)) + " State=UNKNOWN");
  set("PartitionName", "test Nodes=" + host + " Default=YES MaxTime=INFINITE State=UP");
  return text;
}

bool Slurm::wait_for_jobs(double seconds) {
  return within(seconds, [&] {
    const Finished jobs = run(folder_, {"squeue", "--noheader"}, environment_, 10);
    return jobs.code == 0 && jobs.out.empty();
  });
}

std::string Slurm::logs() const {
  std::string text;
  for (const char* name : {"munged", "slurmctld", "slurmd"}) {
    const std::string log = file_text(folder_ / (std::string(name) + ".err"));
    if (!log.empty()) text += std::string(name) + ":\n" + last_lines(log);
  }
  return text;
}

}  // namespace pgram::engines
