# The toolchain of releases for Linux with glibc (scripts/prebuild), for x64 and arm64 from either: clang and lld, with
# what scripts/sysroot has put together. NOMYO_SYSROOT in the environment is its folder; it is read here and again in
# each of CMake's own test projects.
set(NOMYO_SYSROOT $ENV{NOMYO_SYSROOT})
if(NOT EXISTS ${NOMYO_SYSROOT}/packages)
  message(FATAL_ERROR "NOMYO_SYSROOT ('${NOMYO_SYSROOT}') is no folder that scripts/sysroot made.")
endif()
set(CMAKE_SYSTEM_NAME Linux)
if(NOMYO_SYSROOT MATCHES "amd64$")
  set(CMAKE_SYSTEM_PROCESSOR x86_64)
elseif(NOMYO_SYSROOT MATCHES "arm64$")
  set(CMAKE_SYSTEM_PROCESSOR aarch64)
else()
  message(FATAL_ERROR "NOMYO_SYSROOT must end in amd64 or arm64.")
endif()
set(nomyo_triplet ${CMAKE_SYSTEM_PROCESSOR}-linux-gnu)
set(nomyo_deps ${NOMYO_SYSROOT}/deps/usr)

# The C library and GCC's runtime of the old release: what is linked decides which systems can load it.
set(CMAKE_SYSROOT ${NOMYO_SYSROOT}/base)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
foreach(language C CXX)
  set(CMAKE_${language}_COMPILER_TARGET ${nomyo_triplet})
endforeach()
set(CMAKE_AR llvm-ar-19 CACHE STRING "")
set(CMAKE_RANLIB llvm-ranlib-19 CACHE STRING "")
# As options, since cmake-js gives flags of its own, which would replace CMAKE_CXX_FLAGS_INIT and its like.
add_link_options(-fuse-ld=lld-19 -Wl,--build-id=sha1)
# No folder of this machine in the file: neither in debug information nor in what assertions print.
get_filename_component(nomyo_source ${CMAKE_CURRENT_LIST_DIR}/../.. REALPATH)
add_compile_options(-g "-ffile-prefix-map=${NOMYO_SYSROOT}=/sysroot" "-ffile-prefix-map=${nomyo_source}=/nomyo-native"
  -isystem ${nomyo_deps}/include/${nomyo_triplet})
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  add_compile_options(-mbranch-protection=standard)
endif()

set(CMAKE_FIND_ROOT_PATH ${NOMYO_SYSROOT}/deps ${NOMYO_SYSROOT}/base)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_LIBRARY_ARCHITECTURE ${nomyo_triplet})
# What this machine's pkg-config knows is of its own libcrypto.
set(ENV{PKG_CONFIG_LIBDIR} ${nomyo_deps}/lib/${nomyo_triplet}/none)
set(ENV{PKG_CONFIG_PATH} "")
set(OPENSSL_INCLUDE_DIR ${nomyo_deps}/include CACHE PATH "")
set(OPENSSL_CRYPTO_LIBRARY ${nomyo_deps}/lib/${nomyo_triplet}/libcrypto.a CACHE FILEPATH "")

foreach(library z zstd)
  set(NOMYO_STATIC_${library} ${nomyo_deps}/lib/${nomyo_triplet}/lib${library}.a CACHE FILEPATH "")
endforeach()

# This libcrypto uses the two above, and was made for a newer C library: native/compat has what it wants of that.
set(NOMYO_COMPAT ON)
