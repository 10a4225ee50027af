# One folder, one library: pgram_library(name DEPENDS other...) compiles the .cpp files beside it and links only what it
# names, so that a folder cannot call what the architecture does not allow (docs/architecture.md). SOURCES: only these.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(pgram_options INTERFACE)
target_include_directories(pgram_options INTERFACE ${CMAKE_SOURCE_DIR})
# Of .cu files nvcc's host compiler sees -Wall only through -Xcompiler; its own diagnostics suffice.
set(for_cxx $<COMPILE_LANGUAGE:CXX>)
target_compile_options(pgram_options INTERFACE $<${for_cxx}:-Wall> $<${for_cxx}:-Wextra> $<$<AND:${for_cxx},$<BOOL:${PGRAM_WERROR}>>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 sees overlapping copies in std::string's operator+ that are not there (GCC bug 105651).
  target_compile_options(pgram_options INTERFACE $<${for_cxx}:-Wno-restrict>)
endif()
if(PGRAM_SANITIZE)
  target_compile_options(pgram_options INTERFACE $<${for_cxx}:-fsanitize=${PGRAM_SANITIZE}>
                         $<${for_cxx}:-fno-sanitize-recover=all> $<${for_cxx}:-fno-omit-frame-pointer>)
  target_link_options(pgram_options INTERFACE -fsanitize=${PGRAM_SANITIZE})
endif()

function(pgram_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;PRIVATE;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(ARG_SOURCES)
    set(sources ${ARG_SOURCES})
  endif()
  if(PGRAM_WITHOUT)
    list(FILTER sources EXCLUDE REGEX "${PGRAM_WITHOUT}")
  endif()
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE pgram_options ${ARG_DEPENDS})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${name} PUBLIC pgram_options ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE})
endfunction()

# pgram_compile_fast(target): for code whose speed nobody feels, as that of tests, which spend their time in the libraries.
# -O1 compiles a third faster than -O3; under sanitizers, which double the code, -O0 twice as fast as -O1.
function(pgram_compile_fast target)
  if(PGRAM_SANITIZE)
    target_compile_options(${target} PRIVATE $<${for_cxx}:-O0>)
  else()
    target_compile_options(${target} PRIVATE $<$<AND:$<CONFIG:Release>,${for_cxx}>:-O1>)
  endif()
endfunction()

# The programs that hold tests with the label "tsan".
add_custom_target(tsan_tests)

# pgram_test(folder DEPENDS libs... [SLOW filter] [TSAN filter] [LOCK name]): one GoogleTest program from tests/<folder>/*.cpp, every
# case a CTest test. Cases that match the TSAN filter get the label "tsan" (run under ThreadSanitizer: threads of our own
# only, nothing that enters oneDNN or OpenMP), others that match the SLOW filter "slow" (not run under ASan). Of tests with one LOCK
# only one runs at a time.
function(pgram_test folder)
  cmake_parse_arguments(ARG "" "SLOW;TSAN;LOCK" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
  if(NOT sources OR (PGRAM_SANITIZE AND "${ARG_SLOW}" STREQUAL "*"))  # sanitizers run no slow test
    return()
  endif()
  string(REPLACE "/" "_" target test_${folder})
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE pgram_options ${ARG_DEPENDS} GTest::gtest_main)
  target_compile_definitions(${target} PRIVATE PGRAM_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  pgram_compile_fast(${target})
  set(labelled ${ARG_SLOW} ${ARG_TSAN})
  list(JOIN labelled ":" excluded)
  pgram_discover(${target} ${folder} "" "-${excluded}")
  if(ARG_SLOW)
    pgram_discover(${target} ${folder} slow "${ARG_SLOW}-${ARG_TSAN}")
  endif()
  if(ARG_TSAN)
    pgram_discover(${target} ${folder} tsan "${ARG_TSAN}")
    add_dependencies(tsan_tests ${target})
  endif()
endfunction()

function(pgram_discover target folder label filter)
  if(filter STREQUAL "-")
    set(filter "*")
  endif()
  set(properties TIMEOUT 300)
  if(label)
    list(APPEND properties LABELS ${label})
  endif()
  if(ARG_LOCK)
    list(APPEND properties RESOURCE_LOCK ${ARG_LOCK})
  endif()
  gtest_discover_tests(${target} TEST_PREFIX "${folder}." TEST_FILTER "${filter}" TEST_LIST ${target}_${label}
                       DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()
