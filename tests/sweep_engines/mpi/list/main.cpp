// A rank of the shared list's test: takes numbers below COUNT by THREADS threads and writes them, one a line, to
// OUT.rank3. Rank 0's text of LENGTH bytes goes to all before that.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/mpi/loader.h"

int main(int, char** arguments) {
  const pgram::LoadedMpi mpi = pgram::load_mpi(PGRAM_PLUGIN_FOLDER);
  uint32_t rank = 0, size = 0;
  if (!mpi || !mpi.api->start(rank, size)) {
    std::fprintf(stderr, "%s\n", mpi.reason.c_str());
    return 1;
  }
  const int threads = std::atoi(arguments[1]);
  const uint64_t count = std::strtoull(arguments[2], nullptr, 10), length = std::strtoull(arguments[3], nullptr, 10);
  std::ofstream out(arguments[4] + (".rank" + std::to_string(rank)));
  std::string text(rank == 0 ? length : 3, rank == 0 ? 'x' : '?');
  mpi.api->broadcast(text);
  out << rank << ' ' << size << ' ' << text.size() << ' ' << text.find_first_not_of('x') << '\n';
  for (int list = 0; list < 2; ++list) {  // a second one starts from 0 again
    mpi.api->share();
    std::mutex mutex;
    std::vector<std::jthread> workers;
    for (int i = 0; i < threads; ++i) {
      workers.emplace_back([&] {
        for (uint64_t first; (first = mpi.api->next(3)) < count;) {
          const std::lock_guard lock(mutex);
          for (uint64_t number = first; number < first + 3 && number < count; ++number) out << number << '\n';
        }
      });
    }
    workers.clear();
    mpi.api->wait_for_all();
  }
  out.close();
  mpi.api->finish();
}
