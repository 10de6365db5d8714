/*
 * An allocator that fails when it is told to, for LD_PRELOAD: an allocation that the addon makes on the main thread
 * gets no memory, once. Everyone else's allocations, V8's and Node's, succeed: what is shown is what the addon does
 * without memory. (It has the C++ library inside it, so its `new` calls `malloc` from its own pages.)
 *
 * NOMYO_FAILING_MALLOC names a file that holds `struct orders`, which both sides see.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void __libc_free(void *memory);

struct orders {
  /* Where the addon's code lies. */
  uint64_t begin, end;
  /* How many allocations succeed before the one that fails; below zero none fails. */
  int64_t before;
  /* How many have failed. */
  int64_t failed;
  /* What the addon has allocated and not freed since its code's place is known, on all threads. */
  int64_t alive;
};

static struct orders *orders;

__attribute__((constructor)) static void open_orders(void) {
  const char *name = getenv("NOMYO_FAILING_MALLOC");
  const int fd = name == NULL ? -1 : open(name, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *memory = mmap(NULL, sizeof(struct orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory != MAP_FAILED) orders = memory;
  close(fd);
}

static int addons(const void *caller) {
  return orders != NULL && (uint64_t)caller >= orders->begin && (uint64_t)caller < orders->end;
}

/* Whether this allocation is the one. */
static int fails(const void *caller) {
  if (!addons(caller) || orders->before < 0 || syscall(SYS_gettid) != getpid() || orders->before-- > 0) return 0;
  orders->failed++;
  return 1;
}

static void *counted(void *memory, const void *caller) {
  if (memory != NULL && addons(caller)) __atomic_fetch_add(&orders->alive, 1, __ATOMIC_RELAXED);
  return memory;
}

void *malloc(size_t size) {
  const void *caller = __builtin_return_address(0);
  return fails(caller) ? NULL : counted(__libc_malloc(size), caller);
}

void *calloc(size_t count, size_t size) {
  const void *caller = __builtin_return_address(0);
  return fails(caller) ? NULL : counted(__libc_calloc(count, size), caller);
}

void *realloc(void *old, size_t size) {
  const void *caller = __builtin_return_address(0);
  if (fails(caller)) return NULL;
  void *memory = __libc_realloc(old, size);
  return old == NULL ? counted(memory, caller) : memory;
}

void free(void *memory) {
  if (memory != NULL && addons(__builtin_return_address(0))) {
    __atomic_fetch_sub(&orders->alive, 1, __ATOMIC_RELAXED);
  }
  __libc_free(memory);
}
