// Everything that calls MPI. The shared list is a counter in rank 0's memory that every rank reads and raises in one
// step (MPI_Fetch_and_op): nobody is asked, and a slow rank simply takes fewer cases.
#include "cli/mpi/plugin.h"

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <stop_token>
#include <thread>

namespace pgram {
namespace {

/// One thread at a time is in MPI: the least that is asked of an MPI that several threads use.
std::mutex in_mpi;

/// MPI's own calls wait by spinning, on cores that other ranks' cases need. A request that is asked now and then does
/// not.
void wait_gently(MPI_Request request) {
  using std::chrono::microseconds;
  for (microseconds pause(20);; pause = std::min(2 * pause, microseconds(20'000))) {
    {
      const std::lock_guard lock(in_mpi);
      int done = 0;
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (done) return;
    }
    std::this_thread::sleep_for(pause);
  }
}

/// `begin` starts a collective of all ranks.
template <typename Begin>
void collective(const Begin& begin) {
  MPI_Request request = MPI_REQUEST_NULL;
  {
    const std::lock_guard lock(in_mpi);
    begin(request);
  }
  wait_gently(request);
}

void barrier() {
  collective([](MPI_Request& request) { MPI_Ibarrier(MPI_COMM_WORLD, &request); });
}

class SharedList {
 public:
  void share() {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    uint64_t* counter = nullptr;
    MPI_Win_allocate(rank == 0 ? sizeof(uint64_t) : 0, sizeof(uint64_t), MPI_INFO_NULL, MPI_COMM_WORLD, &counter,
                     &window_);
    MPI_Win_lock_all(0, window_);
    if (rank == 0) {
      *counter = 0;
      MPI_Win_sync(window_);
    }
    barrier();
    // Where the network cannot add to memory by itself, rank 0's MPI does it, whenever rank 0 enters MPI.
    if (rank == 0) progress_ = std::jthread([](std::stop_token ending) { keep_answering(ending); });
  }

  uint64_t next(uint64_t count) {
    uint64_t number = 0;
    const std::lock_guard lock(in_mpi);
    MPI_Fetch_and_op(&count, &number, MPI_UINT64_T, 0, 0, MPI_SUM, window_);
    MPI_Win_flush(0, window_);
    return number;
  }

  /// All ranks are here: nobody asks for more.
  void end() {
    if (window_ == MPI_WIN_NULL) return;
    progress_ = {};
    MPI_Win_unlock_all(window_);
    MPI_Win_free(&window_);
  }

 private:
  static void keep_answering(const std::stop_token& ending) {
    while (!ending.stop_requested()) {
      {
        const std::lock_guard lock(in_mpi);
        int arrived = 0;
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &arrived, MPI_STATUS_IGNORE);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  }

  MPI_Win window_ = MPI_WIN_NULL;
  std::jthread progress_;
};

SharedList& list() {
  static SharedList shared;
  return shared;
}

bool start(uint32_t& rank, uint32_t& size) {
  int provided = 0, place = 0, count = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &place);
  MPI_Comm_size(MPI_COMM_WORLD, &count);
  rank = static_cast<uint32_t>(place);
  size = static_cast<uint32_t>(count);
  return provided >= MPI_THREAD_SERIALIZED;
}

void broadcast(std::string& text) {
  uint64_t length = text.size();
  collective([&](MPI_Request& request) { MPI_Ibcast(&length, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD, &request); });
  text.resize(length);
  constexpr uint64_t kChunk = 1u << 26;  // MPI counts in int
  for (uint64_t begin = 0; begin < length; begin += kChunk) {
    const int count = static_cast<int>(std::min(kChunk, length - begin));
    collective(
        [&](MPI_Request& request) { MPI_Ibcast(text.data() + begin, count, MPI_BYTE, 0, MPI_COMM_WORLD, &request); });
  }
}

void wait_for_all() {
  barrier();
  list().end();
}

std::string version_of_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string whole(text, static_cast<size_t>(length));
  // "Open MPI v4.1.4, package: ...".
  return whole.substr(0, whole.find_first_of(",\n"));
}

}  // namespace
}  // namespace pgram

extern "C" const pgram::MpiApi* pgram_mpi_api() {
  using namespace pgram;
  static const std::string kLibrary = version_of_library();
  static const MpiApi kApi{kMpiApiVersion, kLibrary.c_str(),       start,
                           broadcast,      [] { list().share(); }, [](uint64_t count) { return list().next(count); },
                           wait_for_all,   [] { MPI_Finalize(); }, [](int code) { MPI_Abort(MPI_COMM_WORLD, code); }};
  return &kApi;
}
