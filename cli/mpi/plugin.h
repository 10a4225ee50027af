// What the MPI plugin's shared library gives to the program that loads it. No header of MPI is needed to read this.
#pragma once
#include <cstdint>
#include <string>

namespace pgram {

/// Raised with every change of this file: the library and the program are built together.
constexpr uint32_t kMpiApiVersion = 1;

/// All ranks call broadcast, share and wait_for_all in the same order, from one thread; next may be called from any
/// number of threads between share and wait_for_all. Nothing waits by spinning. What MPI cannot do ends the job.
struct MpiApi {
  uint32_t version = kMpiApiVersion;
  const char* library = "";  ///< "Open MPI 4.1.4": what it was built with
  /// Once, before all others. Sets this process's place among all that MPI knows of. False: MPI lacks what is needed
  /// of its threads.
  bool (*start)(uint32_t& rank, uint32_t& size) = nullptr;
  /// Rank 0's text becomes everybody's.
  void (*broadcast)(std::string&) = nullptr;
  /// Starts the one shared list: 0, 1, 2 ...
  void (*share)() = nullptr;
  /// The first of the list's next `count` numbers; no other rank or thread gets them.
  uint64_t (*next)(uint64_t count) = nullptr;
  /// Ends the list if there is one.
  void (*wait_for_all)() = nullptr;
  void (*finish)() = nullptr;
  /// Ends all ranks at once.
  void (*abort)(int exit_code) = nullptr;
};

constexpr const char* kMpiLibrary = "libpgram_mpi.so";
constexpr const char* kMpiApiSymbol = "pgram_mpi_api";  ///< extern "C" const MpiApi* pgram_mpi_api();

}  // namespace pgram
