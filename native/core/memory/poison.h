// What AddressSanitizer is told about the pool's memory; nothing in other builds.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define NOMYO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NOMYO_ASAN 1
#endif
#endif
#if defined(NOMYO_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define NOMYO_POISON(at, bytes) ASAN_POISON_MEMORY_REGION(at, bytes)
#define NOMYO_UNPOISON(at, bytes) ASAN_UNPOISON_MEMORY_REGION(at, bytes)
// What only the pool points to is no leak.
#define NOMYO_LEAK_ROOT(at, bytes) __lsan_register_root_region(at, bytes)
#define NOMYO_NO_LEAK_ROOT(at, bytes) __lsan_unregister_root_region(at, bytes)
#else
#define NOMYO_POISON(at, bytes) static_cast<void>(0)
#define NOMYO_UNPOISON(at, bytes) static_cast<void>(0)
#define NOMYO_LEAK_ROOT(at, bytes) static_cast<void>(0)
#define NOMYO_NO_LEAK_ROOT(at, bytes) static_cast<void>(0)
#endif
