# Distribution packages, found once. tools/packages.txt lists what to install; nothing is vendored.

find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)      # module mode: Debian ships no config file; must precede gRPC
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(glog CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(GTest CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
find_package(ZLIB REQUIRED)

# cpp-httplib 0.41, header only, unpacked by tools/install_deps.sh from Debian's signed source
# archive (the packaged 0.11.4 has known vulnerabilities).
# A header without a machine: not looked for in a sysroot.
find_path(VALLM_HTTPLIB_DIR httplib.h
  HINTS "$ENV{VALLM_HTTPLIB_DIR}" /usr/local/include/vallm-httplib-0.41.0 "$ENV{HOME}/.local/include/vallm-httplib-0.41.0"
  NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
if(NOT VALLM_HTTPLIB_DIR)
  message(FATAL_ERROR "cpp-httplib 0.41.0 not found: run tools/install_deps.sh, or set VALLM_HTTPLIB_DIR to the folder that holds httplib.h")
endif()
add_library(vallm_httplib INTERFACE)
add_library(vallm::httplib ALIAS vallm_httplib)
target_include_directories(vallm_httplib SYSTEM INTERFACE "${VALLM_HTTPLIB_DIR}")
target_link_libraries(vallm_httplib INTERFACE Threads::Threads)
