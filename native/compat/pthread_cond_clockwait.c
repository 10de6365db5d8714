// The libstdc++ of releases waits until a time of the steady clock by pthread_cond_clockwait, which glibc has from 2.30
// on. Found at run time where it is; on 2.28 and 2.29 the wait is made of pieces on the other clock, of a second at
// most: a piece that ends before the time is a spurious wake-up, which every caller of a condition variable must
// expect, and so looks at the steady clock again.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

typedef int (*ClockWait)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const struct timespec*);

static ClockWait of_system;
static pthread_once_t looked_up = PTHREAD_ONCE_INIT;

static void LookUp(void) {
  // POSIX lets a function's address be taken out of an object pointer; ISO C does not say so.
  *(void**)&of_system = dlsym(RTLD_DEFAULT, "pthread_cond_clockwait");
}

__attribute__((visibility("hidden"))) int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                                                 clockid_t clock, const struct timespec* until) {
  pthread_once(&looked_up, LookUp);
  if (of_system) return of_system(condition, mutex, clock, until);

  struct timespec now;
  if (clock_gettime(clock, &now) != 0) return errno;
  time_t seconds = until->tv_sec - now.tv_sec;
  long nanoseconds = until->tv_nsec - now.tv_nsec;
  if (nanoseconds < 0) {
    nanoseconds += 1000000000;
    --seconds;
  }
  if (seconds < 0 || (seconds == 0 && nanoseconds == 0)) return ETIMEDOUT;
  if (seconds >= 1) {
    seconds = 1;
    nanoseconds = 0;
  }

  struct timespec end;
  if (clock_gettime(CLOCK_REALTIME, &end) != 0) return errno;
  end.tv_sec += seconds;
  end.tv_nsec += nanoseconds;
  if (end.tv_nsec >= 1000000000) {
    end.tv_nsec -= 1000000000;
    ++end.tv_sec;
  }
  const int result = pthread_cond_timedwait(condition, mutex, &end);
  if (result != ETIMEDOUT) return result;
  if (clock_gettime(clock, &now) != 0) return errno;
  return now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec) ? ETIMEDOUT : 0;
}
