# The preset "gpu": the CUDA backend and the tests that need a GPU, on a bare machine with g++, CMake, CUDA and NCCL. What
# reads YAML or XML, finds this machine through hwloc, routes by Boost.Graph or computes by oneDNN is left out: no test
# needs it.
if(NOT PGRAM_HAS_CUDA)
  message(FATAL_ERROR "The preset gpu builds the CUDA backend: it needs nvcc, cuBLAS and NCCL")
endif()
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED)
set(PGRAM_WITHOUT
    "/base/yaml_reader|/cluster/(fabric|shortest_routes|graph_topology|this_machine|cluster_file|topology_file|graph_file|nccl_xml|nvidia_topo|device_file|library_files)|/cpu_backend/(calibrate|kernels/fast_)|/cuda_comm/launch")
# Stand for libraries whose users are left out.
foreach(library yaml-cpp Boost::headers PkgConfig::HWLOC pugixml::pugixml DNNL::dnnl)
  add_library(${library} INTERFACE IMPORTED)
endforeach()
add_subdirectory(third_party)
foreach(folder base model cluster workload layout plan timeline cost planner exec)
  add_subdirectory(core/${folder})
endforeach()
add_subdirectory(cpu_backend)
target_compile_definitions(pgram_cpu_kernels PRIVATE PGRAM_PLAIN_KERNELS_ONLY)
add_subdirectory(cuda_backend)
enable_testing()
add_subdirectory(tests)
